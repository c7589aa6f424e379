"""A pipeline that serves with keys, attacked for real: those who are admitted see it all along, and nobody else sees anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from fuzz import noise
from intruder import HOST, Wire, free_port, greeting, introduce, make_keys, tcp, wires
from patience import PATIENCE_S
from pipeline_run import Running, poselift, running
from viewers import Watcher, looking

from poselift.app.cli.view import opened
from poselift.app.config import Config
from poselift.app.dataflow.messages import Answer, Health, Pose3D, encode
from poselift.app.recording.orders import NO_RECORDER
from poselift.app.remote import authenticator, keys
from poselift.app.remote.connections import MAX_UNAUTHENTICATED
from poselift.app.remote.keys import ClientKeys, Permission
from poselift.app.remote.wire import Hello, Welcome, from_board

SEED = 20261122
SOURCE = "test:320x240@30"
ROOM_BYTES = 64 << 20
FUZZ, CALM = 20_000, 5_000
"""Made-up messages; the first of them no faster than anybody may send."""


@pytest.fixture
def serving(configure: Any, board: Path, laptop: Path) -> Iterator[tuple[Running, int]]:
    """A pipeline that serves with the board's keys, and its port."""
    port = free_port()
    path, config = configure(serve={"address": f"{HOST}:{port}", "keys_folder": str(board)})
    with running(config, path, SOURCE) as pipeline:
        yield pipeline, port


def said_by(wire: Wire) -> list[Any]:
    """All that has come to a socket."""
    messages = []
    with contextlib.suppress(zmq.Again):
        while True:
            messages.append(from_board(wire.socket.recv(zmq.NOBLOCK)))
    return messages


def hello(wire: Wire) -> None:
    wire.say(encode(Hello("0.1.0", "intruder", 5)))


def until(what: Any, why: str) -> Any:
    """Look again and again until something is so; its value."""
    end_s = time.monotonic() + PATIENCE_S
    while not (value := what()):
        assert time.monotonic() < end_s, f"waited too long for {why}"
    return value


def sees_more(watcher: Watcher) -> None:
    watcher.more(Pose3D, 5)


def test_without_an_admitted_key_there_is_nothing_to_see(serving: tuple[Running, int], laptop: Path) -> None:
    pipeline, port = serving
    trust = keys.client_keys(laptop, HOST)
    with looking(f"{HOST}:{port}", keys_folder=str(laptop)) as watcher, wires(port) as wire:
        sees_more(watcher)
        for wrong in (
            None,
            ClientKeys(authenticator.new_pair("stranger"), trust.board),
            ClientKeys(trust.own, authenticator.new_pair("other").public),
        ):
            intruder = wire(wrong)
            hello(intruder)
            until(lambda: intruder.saw(zmq.EVENT_DISCONNECTED), "the intruder to be cut off")  # noqa: B023
            sees_more(watcher)
            assert not said_by(intruder) and not intruder.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        watcher.client.order("record start")
        (answer,) = watcher.more(Answer, 1)
        assert not answer.ok and "look" in answer.text, answer
    pipeline.process.terminate()
    lines = [line for line in pipeline.output().splitlines() if "refused" in line]
    assert lines and all(HOST in line or "somebody" in line for line in lines), lines


def test_a_revoked_viewer_sees_nothing_more_and_says_why(serving: tuple[Running, int], board: Path, laptop: Path, tmp_path: Path) -> None:
    _, port = serving
    desk = make_keys(tmp_path / "desk", "desk")
    introduce(board, desk, Permission.CONTROL)
    with looking(f"{HOST}:{port}", keys_folder=str(laptop)) as watcher, looking(f"{HOST}:{port}", keys_folder=str(desk)) as other:
        sees_more(watcher)
        sees_more(other)
        assert other.client.welcome.may_control and not watcher.client.welcome.may_control
        done = poselift("keys", "revoke", "laptop", "--config", config_of(tmp_path))
        assert done.returncode == 0 and "revoked the viewer laptop" in done.stdout, done.stderr
        until(lambda: (watcher.client.receive(0.1), watcher.client.state.connected)[1] is False, "the viewer to notice")
        until(lambda: (watcher.client.receive(0.1), "poselift keys" in watcher.client.state.why)[1], "the reason")
        here = len(watcher.messages)
        sees_more(other)
        assert not any(isinstance(it, Pose3D) for it in watcher.messages[here:])
        introduce(board, laptop)
        sees_more(watcher)  # by itself
        assert watcher.client.state.connected


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_on_the_board_itself_there_is_nothing_to_admit(configure: Any, board: Path, host: str) -> None:
    """Its window finds where it serves by what runs there, and has its keys."""
    path, config = configure(serve={"address": f"{host}:{free_port()}", "keys_folder": str(board)})
    with running(config, path, SOURCE) as pipeline:
        pipeline.pid("serve")
        source = opened(None, Config().changed(runtime_folder=config.runtime_folder))
        try:
            until(
                lambda: (
                    source.poll(time.monotonic()),
                    source.status(time.monotonic()).mode == "live" and source.history.span_ns,
                )[1],
                "poses",
            )
            assert source.toggle_recording().startswith("record start")
            assert until(lambda: (source.poll(time.monotonic()), source.take_notice())[1], "an answer") == NO_RECORDER
        finally:
            source.close()


def config_of(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_noise_from_somebody_who_is_admitted_and_connections_by_the_thousand(
    serving: tuple[Running, int], board: Path, laptop: Path, tmp_path: Path
) -> None:
    pipeline, port = serving
    mad = make_keys(tmp_path / "mad", "mad")
    introduce(board, mad, Permission.CONTROL)
    trust = keys.client_keys(mad, HOST)
    with looking(f"{HOST}:{port}", keys_folder=str(laptop)) as watcher, wires(port) as wire, contextlib.ExitStack() as stack:
        sees_more(watcher)
        pid = pipeline.pid("serve")
        process = psutil.Process(pid)
        before, descriptors = process.memory_info().rss, process.num_fds()

        intruder = wire(trust)
        for number, data in enumerate(noise(SEED, FUZZ)):
            until(lambda: intruder.socket.poll(10, zmq.POLLOUT), "room")
            intruder.socket.send(data)
            if number % (CALM if number > CALM else CALM // 10) == 0:
                said_by(intruder)
                sees_more(watcher)
            if number == CALM:  # on a busy machine, serve has heard little of it when it cuts off who sends so much
                pipeline.until(lambda messages: bad_messages(messages) > CALM / 50, "serve to have counted what it did not understand")
        until(lambda: intruder.saw(zmq.EVENT_DISCONNECTED), "who sends so much to be cut off")
        cuts = 0

        def welcomed() -> bool:
            nonlocal cuts
            if intruder.saw(zmq.EVENT_DISCONNECTED) > cuts:  # what was said by a connection that is cut, for the noise before it, is lost
                cuts = intruder.saw(zmq.EVENT_DISCONNECTED)
                hello(intruder)
            return any(isinstance(it, Welcome) for it in said_by(intruder))

        until(welcomed, "a welcome, still")
        sees_more(watcher)

        left = [stack.enter_context(tcp(port)) for _ in range(1000)]
        for each in left:
            with contextlib.suppress(ConnectionError):  # who was there before had to go for who came after
                each.sendall(greeting(b"CURVE"))
        sees_more(watcher)
        with looking(f"{HOST}:{port}", keys_folder=str(laptop)) as newcomer:
            sees_more(newcomer)
        assert process.num_fds() - descriptors < MAX_UNAUTHENTICATED + 50
        for each in left:
            each.close()
        until(lambda: (watcher.client.receive(0.1), process.num_fds() - descriptors < 20)[1], "the board to close them")
        sees_more(watcher)
        assert pipeline.pid("serve") == pid, "it was never started again"
        assert process.memory_info().rss - before < ROOM_BYTES


def bad_messages(messages: list[Any]) -> int:
    return max((it.drops.get("bad_message", 0) for it in messages if isinstance(it, Health) and it.worker == "serve"), default=0)


def test_an_address_that_others_reach_needs_keys_first(configure: Any, tmp_path: Path) -> None:
    path, _ = configure(serve={"keys_folder": str(tmp_path / "none")})
    done = poselift("up", SOURCE, "--serve-at", f"0.0.0.0:{free_port()}", "--config", path)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "type: poselift keys new" in done.stderr, done.stderr
