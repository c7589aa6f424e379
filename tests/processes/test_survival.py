"""A worker that is killed comes back, the others go on, and every frame is accounted for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from patience import PATIENCE_S
from pipeline_run import poselift, running, running_lift
from viewers import free_port

from poselift.app.dataflow.messages import Frame, Health, Pose3D
from poselift.app.dataflow.tally import Tally
from poselift.app.processes import supervisor as supervising
from poselift.app.processes.command import COMMAND
from poselift.app.processes.process import NICENESS
from poselift.app.processes.supervisor import Supervisor
from poselift.app.recording.parts import parts
from poselift.app.recording.reader import read

WORKERS = ("capture", "detect", "lift", "record")


def queues(pid: int) -> list[int]:
    """The threads of a process that pass messages on."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith("ZMQ")]


@pytest.mark.parametrize("victims", [("detect", "lift", "capture"), ("record",)])
def test_a_killed_worker_comes_back_and_the_others_go_on(configure, tmp_path: Path, victims: tuple[str, ...]) -> None:
    path, config = configure(detect={}, record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with running(config, path, "test:320x240@15") as pipeline:
        pids = {worker: pipeline.pid(worker) for worker in WORKERS}
        pipeline.until(lambda messages: sum(isinstance(message, Pose3D) for message in messages) > 30, "poses, of which some are recorded")
        for victim in victims:
            pids[victim] = pipeline.kill(victim)
            here = len(pipeline.messages)
            pipeline.until(lambda messages, here=here: sum(isinstance(it, Pose3D) for it in messages[here:]) > 10, "poses after the kill")
            assert {worker: pipeline.pid(worker) for worker in WORKERS} == pids
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert [victim for victim in WORKERS if f"{victim} died (killed by SIGKILL)" in output] == sorted(victims)
    assert "not accounted for" not in output

    session = tmp_path / "rec" / "session.mcap"
    assert len(parts(session)) == (2 if "record" in victims else 1)
    frames = [frame.frame for frame in read(session, [Frame])]
    assert frames == sorted(set(frames))
    if "record" not in victims:  # then the recording itself can tell that nothing is missing
        assert frames == list(range(len(frames)))
        tally = Tally()
        for message in read(session):
            tally.add(message)
        tally.finish()
        assert tally.lifted + sum(tally.dropped.values()) == tally.captured >= len(frames)
        assert tally.dropped.get("worker_died", 0) >= 2, "one of detect's and one of lift's at least"


@pytest.mark.parametrize("victim", ["detect", "record"])
def test_a_ring_that_somebody_removes_is_missed_and_replaced(configure, tmp_path: Path, victim: str) -> None:
    """As a login manager does at logout. Who has the ring open sees nothing of it; who comes back afterwards would find none."""
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.until(lambda messages: sum(isinstance(message, Pose3D) for message in messages) > 30, "poses, of which some are recorded")
        [ring] = config.runtime_path().glob("frames-*.ring")
        ring.unlink()
        pipeline.kill(victim)
        here = len(pipeline.messages)
        pipeline.until(lambda messages: sum(isinstance(message, Pose3D) for message in messages[here:]) > 10, "poses without that ring")
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert output.count(f"{ring} was removed by somebody else") == 1
    assert "Traceback" not in output and "not accounted for" not in output
    rings = [frame.ring for frame in read(tmp_path / "rec" / "session.mcap", [Frame]) if frame.encoding != "none"]
    assert len(set(rings)) == 2, "pictures of both rings are recorded"


def test_a_worker_that_dies_from_a_file_ends_the_run_and_what_was_done_is_kept(configure, tmp_path: Path) -> None:
    path, _ = configure()
    with running_lift(path, "test:320x240@30,frames=100000", tmp_path / "out") as (process, worker):
        os.kill(worker("detect"), signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "detect died (killed by SIGKILL); the run ends here, because its state is gone; kept: the " in errors
    assert "Traceback" not in errors
    assert (tmp_path / "out" / "poses.npz").exists()


def test_what_a_killed_run_left_is_removed_by_the_next(configure, tmp_path: Path) -> None:
    path, config = configure()
    with running_lift(path, "test:320x240@30,frames=100000", tmp_path / "out") as (process, worker):
        workers = [psutil.Process(worker(name)) for name in WORKERS]
        process.kill()
        process.wait()
        assert psutil.wait_procs(workers, timeout=PATIENCE_S)[1] == []
    assert list(config.runtime_path().glob("run-*/*.ring")), "a killed run leaves nothing: the test shows nothing"
    done = poselift("lift", "test:320x240@30,frames=5", "-o", tmp_path / "again", "--no-render", "--config", path)
    assert done.returncode == 0, done.stderr
    assert not config.runtime_path().exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_closes_the_recording_and_leaves_nothing_behind(configure, tmp_path: Path, how: signal.Signals) -> None:
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with running(config, path, "test:320x240@15") as pipeline:
        pids = [pipeline.pid(worker) for worker in WORKERS]
        pipeline.process.send_signal(how)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert not any(map(psutil.pid_exists, pids))
    assert not config.runtime_path().exists()
    notes: list[str] = []
    assert sum(isinstance(message, Pose3D) for message in read(tmp_path / "rec" / "session.mcap", note=notes.append)) > 0
    assert notes == []


def test_stopping_from_elsewhere(configure) -> None:
    path, config = configure()
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.until(lambda messages: any(isinstance(message, Pose3D) for message in messages), "a pose")
        done = poselift("stop", "--config", path)
        assert (done.returncode, done.stderr) == (0, "capture: stopping\n")
        pipeline.output()
    assert pipeline.process.returncode == 0
    assert poselift("stop", "--config", path).returncode == 2


def test_no_worker_outlives_a_supervisor_that_is_killed(configure, tmp_path: Path) -> None:
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with running(config, path, "test:320x240@15") as pipeline:
        workers = [psutil.Process(pipeline.pid(worker)) for worker in WORKERS]
        pipeline.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
        assert alive == []
    again = poselift("up", "test:320x240@30,frames=10", "--record", tmp_path / "again", "--config", path)
    assert again.returncode == 0, again.stderr
    assert not config.runtime_path().exists()


def test_a_second_one_says_that_one_is_running(configure) -> None:
    path, config = configure()
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.pid("lift")
        second = poselift("up", "test:320x240@15", "--config", path)
        assert second.returncode == 2
        assert second.stderr.strip().count("\n") == 0 and f"already running here (process {pipeline.process.pid}" in second.stderr
        shown = poselift("status", "--config", path)
        assert shown.returncode == 0 and all(worker in shown.stdout for worker in WORKERS[:3])
        assert not pipeline.left()


def test_what_dies_again_and_again_is_given_up(configure, tmp_path: Path) -> None:
    path, config = configure(supervisor={"max_restarts": 2})
    with running(config, path, "test:320x240@15") as pipeline:
        for _ in range(2):
            pipeline.kill("lift")
        os.kill(pipeline.pid("lift"), signal.SIGKILL)
        output = pipeline.output()
    assert pipeline.process.returncode == 1
    assert "lift died 3 times in 60 s, giving up" in output


def test_who_only_looks_on_rests_when_it_dies_too_often_and_the_others_go_on(configure, monkeypatch) -> None:
    rest_s, skew_s, said = 1000.0, [0.0], []
    settings = {"max_restarts": 1, "restart_window_s": rest_s, "silent_timeout_s": 10 * rest_s}
    source, address = {"source": "test:320x240@15"}, {"address": f"127.0.0.1:{free_port()}"}
    _, config = configure(mode="live", capture=source, serve=address, supervisor=settings)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + skew_s[0], strftime=time.strftime)
    monkeypatch.setattr(supervising, "time", clock)
    with Supervisor(config, said.append, COMMAND) as supervisor:
        serve, messages = supervisor.children["serve"], []

        def until(what) -> None:
            end_s = time.monotonic() + PATIENCE_S
            while not what():
                assert time.monotonic() < end_s, said
                messages.extend(supervisor.poll())
                time.sleep(0.01)

        for _ in range(2):
            until(lambda: serve.ready)
            pid = serve.process.pid
            serve.process.kill()
            until(lambda pid=pid: serve.process.pid != pid or serve.again_s)
        assert any("serve died 2 times in 1000 s; the others go on without it for as long" in line for line in said), said
        here = len(messages)
        until(lambda: sum(isinstance(message, Pose3D) for message in messages[here:]) > 10)
        assert serve.process.pid == pid and not supervisor.failure
        skew_s[0] = rest_s + 1
        until(lambda: serve.process.pid != pid and serve.ready)
        serve.again_s = skew_s[0] + 2 * time.monotonic()
        serve.process.kill()
        supervisor.stop()
        until(lambda: supervisor.done)
    assert supervisor.failure is None


def test_niceness_counts_between_the_workers(configure, tmp_path: Path) -> None:
    """Linux shares cores among sessions before it looks at niceness; and Ctrl-C reaches a terminal's group."""
    address = {"address": f"127.0.0.1:{free_port()}"}
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0}, serve=address)
    with running(config, path, "test:320x240@15") as pipeline:
        pids = {worker: pipeline.pid(worker) for worker in (*WORKERS, "serve")}
        session, group = os.getsid(pipeline.process.pid), os.getpgid(pipeline.process.pid)
        assert {worker: os.getsid(pid) for worker, pid in pids.items()} == dict.fromkeys(pids, session)
        assert group not in {os.getpgid(pid) for pid in pids.values()}
        base = psutil.Process(pipeline.process.pid).nice()
        least = min(base + NICENESS, 19)
        niceness = {worker: {os.getpriority(os.PRIO_PROCESS, thread) for thread in (pid, *queues(pid))} for worker, pid in pids.items()}
        assert niceness == {worker: {least if worker in ("record", "serve") else base} for worker in pids}


def test_programs_read_poses_while_it_runs(configure) -> None:
    import poselift as face

    path, config = configure()
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.until(lambda messages: any(isinstance(message, Health) and message.worker == "lift" for message in messages), "lift")
        found = []
        for pose in face.connect(config=path):
            found.append(pose.frame)
            if len(found) == 20:
                pipeline.process.send_signal(signal.SIGINT)
        assert len(found) >= 20 and found == sorted(found)
        pipeline.output()
    with pytest.raises(face.UserError, match="no poselift is running here"):
        face.connect(config=path)
