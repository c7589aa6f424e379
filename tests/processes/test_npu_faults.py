"""What fails on the (simulated) NPU ends one worker with one line; it comes back, the others go on, and nothing recorded is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from pipeline_run import running
from sim_acl.faults import Faults
from sim_acl.fixtures import environment, reports

from poselift.app.dataflow.messages import Frame, Pose3D
from poselift.app.dataflow.tally import Tally
from poselift.app.recording.reader import read
from poselift.models.store import path_of

WORKERS = ("capture", "detect", "lift", "record")
ONE = {"people": 1}
"""What the networks were converted for."""


@pytest.fixture
def board(tmp_path, monkeypatch) -> Faults:
    """A simulated board for the processes of this test: what goes wrong with it."""
    folder = tmp_path / "board"
    folder.mkdir()
    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    yield Faults(folder / "faults.json")


@pytest.fixture
def people(clip_pictures, tmp_path) -> Path:
    """Pictures of people for two minutes."""
    folder, pictures = tmp_path / "people", sorted(clip_pictures.iterdir())
    folder.mkdir()
    for number in range(3600):
        (folder / f"{number:05}.png").symlink_to(pictures[number % len(pictures)])
    return folder


def require_nothing_lost(session: Path) -> None:
    """All pictures are there, and each has a pose or a reason why not."""
    frames = [frame.frame for frame in read(session, [Frame])]
    assert frames == list(range(len(frames)))
    tally = Tally()
    for message in read(session):
        tally.add(message)
    tally.finish()
    assert tally.lifted + sum(tally.dropped.values()) == tally.captured >= len(frames)


def require_given_back(folder: Path) -> None:
    """Every process that used the board has given everything back, as far as it was not killed."""
    told = reports(folder)
    assert told
    for report in told.values():
        assert not report["violations"] and not any(report["held"].values()), report


FAULTS = {
    "exception": ({"fault": 507015, "on": "rt.synchronize_stream"}, "the NPU: acl.rt.synchronize_stream answered 507015 ("),
    "memory": (
        {"fault": 207001, "on": "rt.malloc"},
        "the NPU: acl.rt.malloc answered 207001 (memory allocation failed); stop other programs",
    ),
    "gone": ({"fault": "gone"}, "the NPU: acl."),
}
"""One of each kind: in the middle, at the start, the device itself. What each call may answer is in tests/unit/test_ascend*.py."""


@pytest.mark.parametrize(("victim", "names"), [("lift", ("memory", "gone")), ("detect", ("exception",))])
def test_a_worker_whose_npu_fails_says_why_and_comes_back(configure, npu_networks, board, people, tmp_path, victim, names):
    on_npu = {
        "lift": {"lift": {"model": str(npu_networks / "lifter.om")}},
        "detect": {"npu": {"folder": str(npu_networks)}, "lift": {"model": str(path_of("lifter"))}},
    }
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0}, detect=ONE, **on_npu[victim])
    with running(config, path, people) as pipeline:
        pids = {worker: pipeline.pid(worker) for worker in WORKERS}
        poses = count_poses(pipeline, 0, 30)
        for name in names:
            settings, _ = FAULTS[name]
            fault = board.begin(**settings)
            if name == "memory":  # at the start alone
                os.kill(pipeline.pid(victim), signal.SIGKILL)
            fault.wait()
            fault.end()
            poses = count_poses(pipeline, poses, 30)
        after = {worker: pipeline.pid(worker) for worker in WORKERS}
        assert {worker for worker in WORKERS if after[worker] != pids[worker]} == {victim}
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    for name in names:
        _, line = FAULTS[name]
        said = [text for text in output.splitlines() if line in text and (name != "gone" or FAULTS["memory"][1] not in text)]
        assert len(said) == 1 and said[0].startswith(f"{victim}: "), output
    assert output.count(f"{victim} died (exit code 1); starting it again") == len(names)
    assert "Traceback" not in output and "not accounted for" not in output
    require_nothing_lost(tmp_path / "rec" / "session.mcap")
    require_given_back(tmp_path / "board")


def count_poses(pipeline, since: int, more: int) -> int:
    """Wait for so many poses more; how many messages there are then."""

    def enough(messages):
        return sum(isinstance(message, Pose3D) for message in messages[since:]) > more

    pipeline.until(enough, "poses")
    return len(pipeline.messages)


def test_a_worker_whose_npu_hangs_is_killed_and_comes_back(configure, npu_networks, board, people, tmp_path):
    path, config = configure(
        record={"folder": str(tmp_path / "rec"), "min_free_mb": 0},
        detect=ONE,
        lift={"model": str(npu_networks / "lifter.om")},
        supervisor={"silent_timeout_s": 2.0},
    )
    with running(config, path, people) as pipeline:
        poses = count_poses(pipeline, 0, 30)
        with board.begin("hang", on="rt.synchronize_stream") as fault:
            fault.wait()
            victim = pipeline.pid("lift")
            pipeline.until(lambda _: pipeline.pid("lift") != victim, "lift to come back")
            count_poses(pipeline, poses, 30)
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert "lift has said nothing for 2 s; killing it" in output
    assert "lift died (killed, as it had said nothing for 2 s); starting it again" in output
    require_nothing_lost(tmp_path / "rec" / "session.mcap")


def test_a_board_that_stays_away_ends_the_run_with_its_reason(configure, npu_networks, board, people, tmp_path):
    path, config = configure(detect=ONE, lift={"model": str(npu_networks / "lifter.om")}, supervisor={"max_restarts": 2})
    with running(config, path, people) as pipeline:
        count_poses(pipeline, 0, 10)
        with board.begin("gone"):
            output = pipeline.output()
    assert pipeline.process.returncode == 1
    assert "lift died 3 times in 60 s, giving up; its last words: npu.device 0: this machine's driver shows no NPU" in output
    assert "Traceback" not in output


def test_no_board_at_the_start_is_one_line(configure, npu_networks, board, people, monkeypatch):
    monkeypatch.setenv("SIM_ACL_DEVICES", "0")
    path, config = configure(detect=ONE, npu={"folder": str(npu_networks)})
    with running(config, path, people) as pipeline:
        output = pipeline.output()
    assert pipeline.process.returncode == 2
    assert "poselift: npu.device 0: this machine's driver shows no NPU; poselift doctor tells what is missing" in output
    assert "Traceback" not in output
