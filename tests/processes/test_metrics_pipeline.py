"""Prometheus' view of a running pipeline: agrees with what was recorded, on this machine only, and nobody's trouble."""

from __future__ import annotations

import signal
import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from pipeline_run import Running, poselift, running
from service_manager import Service
from test_metrics import values

from poselift.app.dataflow.ledger import NOT_READY
from poselift.app.dataflow.messages import Health, Message, Pose3D
from poselift.app.dataflow.tally import Tally
from poselift.app.recording.reader import read

WORKERS = ("capture", "detect", "lift", "record")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])


def asked(port: int) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return values(answer.read().decode())


def asked_until(pipeline: Running, port: int, *wanted: tuple[str, ...], least: float = 1) -> dict[tuple[str, ...], float]:
    """Ask after every message until these samples are there, at `least` so large."""
    pipeline.pid("metrics")
    return pipeline.until(lambda _: said if all((said := asked(port)).get(sample, -1) >= least for sample in wanted) else None, str(wanted))


def test_the_metrics_of_a_pipeline_agree_with_its_recording(configure, tmp_path: Path, port: int) -> None:
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0}, metrics={"address": f"127.0.0.1:{port}"})
    with running(config, path, "test:320x240@300") as pipeline:
        said = asked_until(pipeline, port, ("poselift_frames_lifted_total",), least=60)
        ends = psutil.Process(pipeline.pid("metrics")).net_connections(kind="tcp")
        assert {end.laddr[0] for end in ends if end.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        asked_until(pipeline, port, *(("poselift_memory_bytes", worker) for worker in WORKERS))
        took = ("poselift_network_seconds", "cpu", "0.5", "detect")  # nobody is there, so the lifter has nothing to do
        last = asked_until(pipeline, port, took, least=0)
        assert 0 < last[took] < last[("poselift_age_seconds_sum", "detect")]
        assert last[("poselift_recording",)] == 1
        assert {last[("poselift_restarts_total", worker)] for worker in WORKERS} == {0}
        drops = {sample[1]: count for sample, count in last.items() if sample[0] == "poselift_drops_total" and sample[2] == "detect"}
        told = drops, last[("poselift_outputs_total", "detect")]
        pipeline.until(lambda messages: told in map(counts, messages), "the report of detect that Prometheus was told")
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert "not accounted for" not in output and "Traceback" not in output

    poses = [pose for pose in read(tmp_path / "rec" / "session.mcap", [Pose3D]) if isinstance(pose, Pose3D)]
    lifted = int(said[("poselift_frames_lifted_total",)])
    dropped = {sample[1]: count for sample, count in said.items() if sample[0] == "poselift_frames_dropped_total"}
    assert dropped.get("newer_frame", 0) > 0, "nothing was dropped: the test shows little"
    assert said[("poselift_age_seconds_count", "lift")] == lifted
    age_s = pytest.approx(said[("poselift_age_seconds_sum", "lift")], rel=1e-9)
    found = [account(poses[first : first + lifted]) for first in range(len(poses) - lifted + 1)]
    assert (dropped, age_s) in found, "of no such number of poses in a row"


def counts(message: Message) -> tuple[dict[str, int], int] | None:
    """What detect says that it dropped and sent."""
    return (message.drops, message.messages) if isinstance(message, Health) and message.worker == "detect" else None


def account(poses: list[Pose3D]) -> tuple[dict[str, int], float]:
    """What the tally makes of these: drops by reason, but for those before the first one, and the ages' sum."""
    tally = Tally()
    for pose in poses:
        tally.add(pose)
    dropped = {reason: count for reason, count in tally.dropped.items() if reason != NOT_READY}
    return dropped, sum(tally.ages_ns) / 1e9


def test_a_killed_worker_is_one_restart_and_a_killed_metrics_worker_comes_back(configure, port: int) -> None:
    path, config = configure(metrics={"address": f"127.0.0.1:{port}"})
    with running(config, path, "test:64x64@30") as pipeline:
        asked_until(pipeline, port, ("poselift_outputs_total", "detect"))
        pipeline.kill("detect")
        said = asked_until(pipeline, port, ("poselift_restarts_total", "detect"))
        assert {worker: said[("poselift_restarts_total", worker)] for worker in WORKERS[:3]} == {"capture": 0, "detect": 1, "lift": 0}
        asked_until(pipeline, port, ("poselift_frames_dropped_total", "worker_died"))
        pipeline.kill("metrics")
        said = asked_until(pipeline, port, ("poselift_frames_lifted_total",), ("poselift_outputs_total", "capture"))
        assert ("poselift_frames_dropped_total", NOT_READY) not in said, "what was before it came is not its to tell"
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output


def test_as_a_service_it_says_how_it_is_and_leaves_with_the_others(configure, runtime_folder: Path, port: int) -> None:
    path, _ = configure(capture={"source": "test:64x64@30"}, metrics={"address": f"127.0.0.1:{port}"})
    with ExitStack() as stack:
        workers = ("capture", "detect", "lift", "metrics")
        services = [stack.enter_context(Service(runtime_folder, "-m", "poselift", "run", worker, "--config", path)) for worker in workers]
        for service in services:
            service.until_said("READY=1", "STATUS=running, ")
        assert asked(port)[("poselift_frames_lifted_total",)] > 0
        assert poselift("stop", "--config", path).returncode == 0
        assert [service.left() for service in services] == [0, 0, 0, 0]


def test_a_port_in_use_is_one_line(configure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path, _ = configure(metrics={"address": address})
        done = poselift("up", "test:64x64@30", "--config", path)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("poselift: ")] == [
        f"poselift: {address}: metrics cannot be given there (Address already in use); set another metrics.address"
    ]
    assert "Traceback" not in done.stderr


def test_other_addresses_than_this_machines_are_refused(configure, tmp_path: Path) -> None:
    path = tmp_path / "open.yaml"
    path.write_text("metrics: {address: '0.0.0.0:9570'}\n")
    done = poselift("up", "test:64x64@30", "--config", path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "metrics.address: '0.0.0.0:9570' is not allowed" in done.stderr
