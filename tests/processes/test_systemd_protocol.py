"""What the workers tell a service manager, over a real socket; the manager is played by the test."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from patience import PATIENCE_S
from pipeline_run import poselift
from rtsp_server import RtspServer
from service_manager import Service
from test_bus import a_pose2d

from poselift.app.dataflow.messages import Stamp
from poselift.app.processes.loop import TERMINATED
from poselift.app.processes.process import connect

WORKERS = ("capture", "detect", "lift", "record")
ODD = """
import sys, threading
from pathlib import Path
from poselift.app.config import load
from poselift.app.processes.loop import Loop
from poselift.app.processes.process import connect, lock, make_folder
config = load(Path(sys.argv[1]))
loop = Loop(connect(config, "lift"))
loop.on_signals()
for message in loop.inputs():
    {does}
loop.end()
"""


def a_worker(folder: Path, worker: str, path: Path, watchdog_s: float = 0.0) -> Service:
    return Service(folder, "-m", "poselift", "run", worker, "--config", path, watchdog_s=watchdog_s)


def test_each_worker_says_that_it_is_ready_how_it_is_and_that_it_leaves(configure, runtime_folder: Path, tmp_path: Path) -> None:
    path, _ = configure(capture={"source": "test:320x240@15"}, record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with ExitStack() as stack:
        services = {worker: stack.enter_context(a_worker(runtime_folder, worker, path)) for worker in WORKERS}
        for service in services.values():
            service.until_said("STATUS=running, ")
        assert poselift("stop", "--config", path).returncode == 0
        for worker, service in services.items():
            assert service.left() == 0, worker
            assert [word for word in service.said if not word.startswith(("STATUS=", "EXTEND"))] == ["READY=1", "STOPPING=1"]
            assert any(word.startswith("STATUS=running, ") and " ms (p95 " in word for word in service.said)
            assert service.said[-2] == "STOPPING=1" and service.said[-1].startswith("STATUS=ending")


def test_a_worker_that_loads_for_long_says_that_it_lives(configure, runtime_folder: Path) -> None:
    path, _ = configure(supervisor={"start_timeout_s": 77.5})
    with a_worker(runtime_folder, "detect", path) as service:
        service.until_said("READY=1")
        before = service.said[: service.said.index("READY=1")]
        assert before.count("EXTEND_TIMEOUT_USEC=77500000") == 2, "one for each network"
        assert all(word.startswith(("STATUS=starting", "EXTEND")) for word in before)


def test_who_cannot_run_never_says_ready(configure, runtime_folder: Path) -> None:
    path, _ = configure(lift={"model": "/nowhere/lifter.onnx"})
    with a_worker(runtime_folder, "lift", path) as service:
        assert service.left() == 2
        assert service.said == []


def test_a_worker_leaves_at_sigterm_while_others_go_on(configure, runtime_folder: Path) -> None:
    """Something is always on its way then: the worker must not wait until nothing comes any more."""
    path, _ = configure(capture={"source": "test:320x240@60"})
    with ExitStack() as stack:
        services = {worker: stack.enter_context(a_worker(runtime_folder, worker, path)) for worker in WORKERS[:3]}
        services["lift"].until_said("STATUS=running, ")
        services["lift"].process.send_signal(signal.SIGTERM)
        assert services["lift"].left() == TERMINATED
        here = len(services["detect"].said)
        services["detect"].until(lambda said: any("STATUS=running" in word for word in said[here:]), "detect to go on")
        again = stack.enter_context(a_worker(runtime_folder, "lift", path))
        again.until_said("READY=1", "STATUS=running, ")


def test_a_look_from_outside_disturbs_nobody(configure, runtime_folder: Path) -> None:
    """Without a supervisor nobody else watches: the last look that leaves is a taker that capture sees leave."""
    path, _ = configure(capture={"source": "test:320x240@15"})
    with ExitStack() as stack:
        services = {worker: stack.enter_context(a_worker(runtime_folder, worker, path)) for worker in WORKERS[:3]}
        services["lift"].until_said("STATUS=running, ")
        assert poselift("status", "--config", path).returncode == 0
        here = len(services["capture"].said)
        services["capture"].until(lambda said: sum("STATUS=running" in word for word in said[here:]) > 2, "capture to go on")


@pytest.mark.parametrize("victim", ["capture", "detect"])
def test_a_worker_that_stands_still_is_fed_no_more(configure, runtime_folder: Path, victim: str) -> None:
    path, _ = configure(capture={"source": "test:320x240@15"}, workers=["capture", "detect"])
    with ExitStack() as stack:
        services = {worker: stack.enter_context(a_worker(runtime_folder, worker, path, 1.0)) for worker in ("capture", "detect")}
        for service in services.values():
            service.until_fed(4)
        services[victim].process.send_signal(signal.SIGSTOP)
        services[victim].until_expired()
        (other,) = (service for worker, service in services.items() if worker != victim)
        other.until_fed(4)


def test_a_lost_camera_is_no_failure(configure, runtime_folder: Path) -> None:
    with ExitStack() as camera, ExitStack() as stack:
        server = camera.enter_context(RtspServer())
        path, _ = configure(capture={"source": f"rtsp://127.0.0.1:{server.port}/live", "reopen_pause_s": 0.1}, workers=["capture"])
        service = stack.enter_context(a_worker(runtime_folder, "capture", path, 1.0))
        service.until_said("STATUS=running, ")
        camera.close()
        service.until(lambda said: "next try in" in said[-1], "the note that it is gone")
        service.until_fed(10)
        assert service.process.poll() is None


def test_a_service_waits_for_a_camera_that_comes_later(configure, runtime_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    path, _ = configure(capture={"source": f"rtsp://127.0.0.1:{port}/live", "reopen_pause_s": 0.1}, workers=["capture"])
    by_hand = poselift("run", "capture", "--config", path)
    assert by_hand.returncode == 2 and f"127.0.0.1:{port}/live" in by_hand.stderr
    with a_worker(runtime_folder, "capture", path, 1.0) as service:
        service.until_said("READY=1")
        service.until(lambda said: "next try in" in said[-1], "the note that it is not there")
        service.until_fed(4)
        with RtspServer(port=port):
            service.until_said("STATUS=running, ")


def test_a_service_does_not_wait_for_a_file(configure, runtime_folder: Path) -> None:
    path, _ = configure(capture={"source": "/nowhere/clip.mp4"}, workers=["capture"])
    with a_worker(runtime_folder, "capture", path) as service:
        assert service.left() == 2
        assert service.said == []


@pytest.mark.parametrize(
    ("does", "expires"),
    [("pass", True), ("threading.Event().wait()", True), ("loop.done(message)", False), ("loop.skip('overwritten')", False)],
    ids=["never answers", "hangs", "answers", "leaves out"],
)
def test_what_is_accepted_must_be_answered(configure, runtime_folder: Path, does: str, expires: bool) -> None:
    path, config = configure()
    with (
        closing(connect(config, "detect")) as before,
        Service(runtime_folder, "-c", ODD.format(does=does), path, watchdog_s=1.0) as service,
    ):
        service.until_fed(4)  # who has nothing to do lives
        while "lift" not in before.takers():
            assert service.process.poll() is None
        before.send(replace(a_pose2d(0), trace=(Stamp("capture", 1, 2),)))
        if expires:
            service.until_expired()
            assert service.process.poll() is None
        else:
            service.until_fed(8)


def test_under_the_supervisor_nothing_is_said(configure, runtime_folder: Path) -> None:
    path, _ = configure()
    with Service(runtime_folder, "-m", "poselift", "up", "test:320x240@30,frames=30", "--config", path, watchdog_s=1.0) as service:
        service.process.wait(PATIENCE_S)
        assert service.left() == 0
        assert service.said == []
