"""Viewers elsewhere see a running pipeline; whatever they do, it and the others go on."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from patience import PATIENCE_S
from pipeline_run import poselift, running
from viewers import Process, free_port, looking, pixels

import poselift as public
from poselift.app.dataflow.messages import SCHEMA, Answer, End, Health, Pose2D, Pose3D, encode
from poselift.app.program import api
from poselift.app.recording.reader import read
from poselift.app.remote.wire import Hello, Picture, Ping, Pong, Welcome
from poselift.common.errors import UserError

SOURCE = "test:320x240@30"


@pytest.fixture
def serving(configure: Any) -> Iterator[Any]:
    """A function that starts a pipeline which serves: the pipeline and its address."""
    with ExitStack() as stack:

        def start(source: str = SOURCE, **sections: Any) -> tuple[Any, str]:
            address = f"127.0.0.1:{free_port()}"
            path, config = configure(**{**sections, "serve": {"address": address, **sections.get("serve", {})}})
            return stack.enter_context(running(config, path, source)), address

        yield start


def healths(messages: list[Any], worker: str = "serve") -> list[Health]:
    return [message for message in messages if isinstance(message, Health) and message.worker == worker]


def test_a_viewer_sees_what_there_is(serving: Any) -> None:
    pipeline, address = serving("test:1920x1080@30", detect={})
    with looking(address) as watcher:
        watcher.until(lambda messages: any(isinstance(it, Welcome) and it.camera.width_px for it in messages), "the camera's facts")
        watcher.client.request_pictures(100_000, 100, 1000.0)
        picture = watcher.more(Picture, 5)[-1]
        assert (picture.width_px, picture.height_px) == (1280, 720), "the board's limit"
        assert pixels(picture).shape == (720, 1280, 3)
        watcher.client.request_pictures(320, 50, 10.0)
        watcher.until(lambda messages: isinstance(messages[-1], Picture) and messages[-1].width_px == 320, "the size that is wanted now")
        poses = watcher.more(Pose3D, 20)
        assert all(0 < watcher.client.age_ns(pose) < 60e9 for pose in poses)
        frames = [pose.frame for pose in poses]
        assert frames == sorted(set(frames))
        watcher.until(lambda messages: {it.worker for it in messages if isinstance(it, Health)} >= {"capture", "detect", "lift"}, "health")
        assert any(isinstance(it, Pose2D) for it in watcher.messages)
        watcher.client.order("status")
        (answer,) = watcher.more(Answer, 1)
        assert answer.ok and "lift running" in answer.text

        here = [pose.frame for pose in watcher.more(Pose3D, 3)]
        with looking(address) as late:
            late.until(lambda messages: any(isinstance(it, Pose3D) and it.frame > here[-1] for it in messages), "poses for who comes late")
        watcher.more(Pose3D, 20)
        welcomes = [it for it in watcher.messages if isinstance(it, Welcome)]
        assert len({it.session for it in welcomes}) == 1, "the other's coming and going changed nothing"
        pipeline.process.send_signal(signal.SIGINT)
        watcher.until(lambda messages: isinstance(messages[-1], End), "the end")
    assert pipeline.process.wait(PATIENCE_S) == 0, pipeline.output()


def test_a_viewer_goes_on_by_itself_when_serve_was_killed(serving: Any) -> None:
    pipeline, address = serving()
    with looking(address) as watcher:
        watcher.client.request_pictures(160, 50, 5.0)
        watcher.more(Picture, 2)
        pipeline.kill("serve")
        here = len(watcher.messages)
        watcher.until(lambda messages: any(isinstance(it, Welcome) for it in messages[here:]), "a new welcome")
        watcher.more(Pose3D), watcher.more(Picture, 2)
        assert watcher.client.state.connected


def test_a_frozen_viewer_costs_the_others_nothing(serving: Any) -> None:
    pipeline, address = serving("test:640x480@15")
    frozen = Process(address)
    try:
        frozen.until(lambda seen: seen["poses"] > 10 and seen["pictures"] > 2, "poses and pictures")
        with looking(address) as watcher:
            watcher.client.request_pictures(640, 80, 7.5)
            watcher.more(Picture, 5)
            before = pipeline.until(healths, "health")[-1].memory_bytes
            frozen.process.send_signal(signal.SIGSTOP)
            watcher.more(Pose3D, 60)
            frames = [it.frame for it in watcher.messages if isinstance(it, Pose3D)]
            absent = frames[-1] - frames[0] + 1 - len(frames)
            assert watcher.client.missed.get("no_room:Pose3D", 0) <= absent, (
                "what is counted as missed did not come: nothing is the frozen one's"
            )
            name = f"no_room:{socket.gethostname()}"
            pipeline.until(lambda messages: healths(messages)[-1].drops.get(name, 0) > 60, "the frozen one's drops")
            assert healths(pipeline.messages)[-1].memory_bytes < before + 8e6
        frozen.process.send_signal(signal.SIGCONT)
        seen = frozen.until(lambda seen: seen["connected"] and seen["age_ms"] and seen["age_ms"] < 2000, "poses that are new")
        assert seen["poses"] > 10
    finally:
        frozen.close()


def test_a_program_reads_poses_from_elsewhere_until_the_pipeline_ends(serving: Any) -> None:
    pipeline, address = serving()
    with looking(address) as watcher:
        watcher.more(Pose3D, 3)
        poses = public.connect(address)
        first = [next(poses) for _ in range(10)]
        assert [pose.frame for pose in first] == sorted({pose.frame for pose in first})
        pipeline.process.send_signal(signal.SIGINT)
        assert all(isinstance(pose, Pose3D) for pose in poses)


def test_a_board_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WELCOME_TIMEOUT_S", 0.6)
    with pytest.raises(UserError, match=r"no answer from 127.0.0.1:\d+ for 1 s; is it the right address") as caught:
        public.connect(f"127.0.0.1:{free_port()}")
    assert "\n" not in str(caught.value)


def test_orders_reach_the_recorder(serving: Any, tmp_path: Path) -> None:
    _, address = serving(record={"folder": str(tmp_path / "rec"), "start": False, "min_free_mb": 0})
    with looking(address) as watcher:
        watcher.more(Pose3D, 3)
        for command in ("record start", "record stop", "stop", "dance"):
            watcher.client.order(command)
            watcher.more(Answer, 1)
    answers = [it for it in watcher.messages if isinstance(it, Answer)]
    assert [answer.ok for answer in answers] == [True, True, False, False], answers
    assert answers[2].text == "a viewer cannot order 'stop'; it can: record start, record stop, status"
    (recording,) = (tmp_path / "rec").glob("*.mcap")
    assert list(read(recording))


def test_without_a_recorder_an_order_says_what_to_do(serving: Any) -> None:
    _, address = serving()
    with looking(address) as watcher:
        watcher.more(Pose3D, 1)
        watcher.client.order("record start")
        (answer,) = watcher.more(Answer, 1)
    assert not answer.ok and "set record.folder" in answer.text


def test_what_is_no_viewer_is_refused_counted_and_told_once(serving: Any) -> None:
    pipeline, address = serving()
    with looking(address) as watcher, zmq.Context() as context, context.socket(zmq.DEALER) as other:
        watcher.more(Pose3D, 1)
        other.set(zmq.LINGER, 0)
        other.connect(f"tcp://{address}")
        newer = {**msgpack.unpackb(encode(Hello("9.0", "of tomorrow", 1))), "schema": SCHEMA + 1, "wish": "more"}
        other.send(msgpack.packb(newer))
        assert other.poll(PATIENCE_S * 1000)
        refused = msgpack.unpackb(other.recv())
        assert (refused["type"], refused["schema"]) == ("Refused", SCHEMA) and "update this side" in refused["why"]
        for number in range(50):
            other.send(os.urandom(number))
            other.send_multipart([b"a", b"b"])
            other.send(encode(Pong(1, 2)))
        other.send(encode(Ping(1)))
        pipeline.until(lambda messages: healths(messages) and healths(messages)[-1].drops.get("bad_message", 0) == 101, "the count")
        watcher.more(Pose3D, 10)
        assert not other.poll(0), "nothing else"
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    refusals = [line for line in output.splitlines() if "serve: refused 127.0.0.1" in line]
    lines = [line for line in refusals if "is no poselift" not in line]  # as who gives up waiting for a busy machine might be
    assert len(lines) == 2, output
    assert f"the message has schema {SCHEMA + 1}, this poselift knows {SCHEMA}: update this side" in lines[0]
    assert "it sends what no viewer says" in lines[1]
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("here", ("cannot serve there (Address already in use); set another serve.address",)),
        ("192.0.2.1:5570", ("cannot serve there", "serve.address has to be one of this machine")),
        ("127.0.0.1:x", ("'127.0.0.1:x' is no address; give HOST or HOST:PORT",)),
    ],
)
def test_an_address_that_cannot_be_had(configure: Any, address: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if address == "here":
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        keys = {"keys_folder": str(tmp_path / "keys")} if address.startswith("192") else {}
        if keys:
            assert poselift("keys", "new", "--config", configure(serve=keys)[0]).returncode == 0
        path, _ = configure(serve=keys)
        done = poselift("up", SOURCE, "--serve-at", address, "--config", path)
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert line.startswith("poselift: ") and [part for part in parts if part not in line] == []
    assert "Traceback" not in done.stderr


def test_nobody_serves_unless_asked(configure: Any) -> None:
    path, config = configure()
    assert "serve" not in config.running
    done = poselift("run", "serve", "--config", path)
    assert (done.returncode, done.stderr) == (2, "poselift: serve does not run with this config: it needs serve.address\n")
