"""A viewer elsewhere begins and ends a recording on the board, and sees that it is on; Prometheus sees the viewer."""

from __future__ import annotations

import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from pipeline_run import running
from test_metrics import values

from poselift.app.dataflow.messages import Answer, Frame, Health
from poselift.app.recording.orders import NO_RECORDER, RECORD_START, RECORD_STOP
from poselift.app.recording.reader import read
from poselift.app.remote.client import Client, connect


@pytest.fixture
def ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return int(first.getsockname()[1]), int(second.getsockname()[1])


def until(viewer: Client, what: Callable[[Any], Any], why: str) -> Any:
    """The first message of which `what` holds."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        for message in viewer.receive(0.2):
            if what(message):
                return message
    raise AssertionError(f"waited too long for {why}; {viewer.state}")


def told(viewer: Client, command: str) -> Answer:
    viewer.order(command)
    answer = until(viewer, lambda message: isinstance(message, Answer), f"an answer to {command!r}")
    assert isinstance(answer, Answer)
    return answer


def until_recording(viewer: Client, name: str) -> None:
    """Wait until the recorder says that it writes this recording; '' for none."""

    def says(message: Any) -> bool:
        return isinstance(message, Health) and message.worker == "record" and message.recording == name

    until(viewer, says, f"the recorder to write {name or 'nothing'}")


def test_a_viewer_begins_and_ends_a_recording(configure, tmp_path: Path, ports: tuple[int, int]) -> None:
    path, config = configure(
        record={"folder": str(tmp_path / "rec"), "min_free_mb": 0, "start": False},
        serve={"address": f"127.0.0.1:{ports[0]}"},
        metrics={"address": f"127.0.0.1:{ports[1]}"},
    )
    with running(config, path, "test:320x240@15") as pipeline, closing(connect(f"127.0.0.1:{ports[0]}")) as viewer:
        pipeline.pid("serve")
        until_recording(viewer, "")
        started = told(viewer, RECORD_START)
        assert started.ok
        file = Path(started.text.removeprefix("started "))
        until_recording(viewer, file.name)
        pipeline.pid("metrics")
        pipeline.until(lambda _: asked(ports[1])[("poselift_viewers",)] == 1, "the viewer to be counted")
        assert asked(ports[1])[("poselift_recording",)] == 1
        assert not told(viewer, RECORD_START).ok
        stopped = told(viewer, RECORD_STOP)
        frames = sum(1 for _ in read(file, [Frame]))
        assert stopped == Answer(True, f"stopped {file}, {frames} frames") and frames > 0
        until_recording(viewer, "")
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output


def test_a_viewer_is_told_what_to_set_where_nothing_records(configure, ports: tuple[int, int]) -> None:
    path, config = configure(serve={"address": f"127.0.0.1:{ports[0]}"})
    with running(config, path, "test:64x64@30") as pipeline, closing(connect(f"127.0.0.1:{ports[0]}")) as viewer:
        pipeline.pid("serve")
        until(viewer, lambda message: isinstance(message, Health), "the board")
        assert told(viewer, RECORD_START) == Answer(False, NO_RECORDER)


def asked(port: int) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return values(answer.read().decode())
