"""A symmetric lifter in the real pipeline: live every message says how late it is, from a file no pose is late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pipeline_run import poselift
from torch_files import Raw, checkpoint, random_model, write

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.offline.sequences import lift_sequences
from poselift.app.recording.reader import read
from poselift.models.backends.backend import open_model
from poselift.models.lifting.whole_sequence import WholeSequence


@pytest.fixture
def lifter(tmp_path: Path) -> Path:
    bin_file = write(tmp_path / "pretrained.bin", checkpoint(random_model((3, 3), 16)), "older")
    done = poselift("models", "convert", bin_file, "--architecture", "3,3", "-o", tmp_path / "lifter.onnx")
    assert done.returncode == 0 and "0.08 s late (4 columns at 50 Hz)" in done.stderr, done.stderr
    return tmp_path / "lifter.onnx"


def test_a_file_is_lifted_as_a_whole(configure, clip_pictures: Path, lifter: Path, tmp_path: Path) -> None:
    path, config = configure()
    done = poselift("lift", clip_pictures, "--lifter", lifter, "--flip", "-o", tmp_path / "out", "--config", path)
    assert done.returncode == 0, done.stderr
    seen = list(read(tmp_path / "out" / "poses.mcap", [Pose2D]))
    poses = list(read(tmp_path / "out" / "poses.mcap", [Pose3D]))
    expected = lift_sequences(WholeSequence(open_model(lifter), flip=True), seen, config.lift.hold_s, lambda frames: None)
    assert len(poses) == len(expected) == 45
    assert sum(len(pose.person) for pose in poses) > 5, "nobody in the pictures: the comparison would mean nothing"
    for pose, other in zip(poses, expected):
        assert (pose.frame, pose.t_ns, pose.delay_ns) == (other.frame, other.t_ns, 0)
        np.testing.assert_array_equal(pose.joints_m, other.joints_m)
    with np.load(tmp_path / "out" / "poses.npz") as found:
        np.testing.assert_array_equal(found["joints_m"], np.concatenate([pose.joints_m for pose in expected]))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["poses.mcap", "poses.mp4", "poses.npz"]


def test_live_every_message_says_how_late_it_is(configure, clip_pictures: Path, lifter: Path, tmp_path: Path) -> None:
    path, _ = configure(lift={"model": str(lifter)}, record={"pictures": "none", "min_free_mb": 0})
    live = poselift("up", clip_pictures, "--record", tmp_path / "live", "--config", path)
    assert live.returncode == 0, live.stderr
    poses = list(read(tmp_path / "live" / "session.mcap", [Pose3D]))
    assert len(poses) > 10 and {pose.delay_ns for pose in poses} == {80_000_000}
    done = poselift("export", tmp_path / "live" / "session.mcap", "-o", tmp_path / "out", "--no-render", "--config", path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out" / "poses.npz") as found:
        assert set(found["delay_s"]) == {0.08}


def test_the_command_refuses_a_program_and_runs_nothing_of_it(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = b"cbuiltins\neval\n(X" + len(code := f"open({str(ran)!r}, 'w').close()".encode()).to_bytes(4, "little") + code + b"tR"
    bin_file = write(tmp_path / "evil.bin", {**checkpoint(random_model((3, 3), 8)), "random_state": Raw(evil)})
    done = poselift("models", "convert", bin_file, "--architecture", "3,3", "-o", tmp_path / "lifter.onnx")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert (done.returncode, len(lines)) == (2, 1) and "asks for 'builtins.eval'" in lines[0], done.stderr
    assert not ran.exists() and not (tmp_path / "lifter.onnx").exists()
