"""The pipeline on the (simulated) NPU gives the poses that it gives on the CPU, and leaves the device as it found it.

Detection follows people from picture to picture, and magnifies the least difference: two ways to add up the same numbers in single
precision soon differ by pixels. So what the NPU computes is compared on the same keypoints here, and on the same pictures in
tests/pipeline/test_npu_pictures.py; for the whole of it, people have to be seen in the same pictures, at about the same place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from pipeline_run import write_config
from sim_acl.fixtures import environment, reports

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.recording.reader import read

JOINTS_M = 2e-3
"""How far the lifter's joints may lie apart in half precision."""
NEAR_PX = 5.0
"""Where people are that are 250 px tall, by the middle of all keypoints: two persons, or a lost one, would differ by far more."""
RUN_MODES = "HOST", "DEVICE"


@pytest.fixture
def lift(runtime_folder, tmp_path):
    """A function that gives the recording of `poselift lift`, with these settings, on a board of this run mode; and what it reports."""

    def run(name: str, source: Path, run_mode: str = "HOST", **settings) -> tuple[Path, list[dict]]:
        settings = {"runtime_folder": str(runtime_folder / name), "detect": {"people": 1}, **settings}
        config = write_config(tmp_path / f"{name}.yaml", settings)
        command = [
            sys.executable,
            "-m",
            "poselift",
            "lift",
            str(source),
            "-o",
            str(tmp_path / name),
            "--no-render",
            "--config",
            str(config),
        ]
        told = tmp_path / f"{name}.reports"
        told.mkdir()
        variables = {**os.environ, **environment(told, run_mode=run_mode)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE_S, stdin=subprocess.DEVNULL, env=variables)
        assert done.returncode == 0, done.stderr
        return tmp_path / name / "poses.mcap", [report for report in reports(told).values() if report["calls"]]

    return run


def require_clean(told: list[dict]) -> None:
    for report in told:
        assert not report["violations"] and not any(report["held"].values()), report


def test_the_npu_answers_as_the_cpu(lift, npu_networks_for_two, pictures_of_two):
    """The lifter in both run modes; then all of it in one. In the other, each worker runs in test_npu_faults.py."""
    two = {"detect": {"people": 2}}
    expected, nothing = lift("cpu", pictures_of_two, **two)
    assert not nothing
    for run_mode in RUN_MODES:
        found, told = lift(run_mode, pictures_of_two, run_mode, lift={"model": str(npu_networks_for_two / "lifter.om")}, **two)
        assert len(told) == 2  # the worker, and the command itself, which looks what kind of lifter it is
        require_clean(told)
        require_the_same_joints(expected, found)
    found, told = lift("whole", pictures_of_two, "DEVICE", npu={"folder": str(npu_networks_for_two)}, **two)
    assert sum("mdl.execute_async" in report["calls"] for report in told) == 2  # detect and lift
    require_clean(told)
    require_the_same_people(expected, found)


def require_the_same_joints(expected: Path, found: Path) -> None:
    distances_m = []
    for one, other in zip(read(expected, [Pose3D]), read(found, [Pose3D])):
        assert one.t_ns == other.t_ns and one.person.tolist() == other.person.tolist()
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        distances_m.extend(np.linalg.norm(one.joints_m - other.joints_m, axis=-1).ravel())
    assert len(distances_m) > 30 * 17
    assert 0 < max(distances_m) <= JOINTS_M


def require_the_same_people(expected: Path, found: Path) -> None:
    pairs = list(zip(read(expected, [Pose2D]), read(found, [Pose2D])))
    assert [one.person.tolist() for one, _ in pairs] == [other.person.tolist() for _, other in pairs]
    assert sum(len(one.person) == 2 for one, _ in pairs) > 20
    distances_px = np.concatenate([np.linalg.norm((one.keypoints - other.keypoints)[..., :2], axis=-1).ravel() for one, other in pairs])
    assert np.median(distances_px) < NEAR_PX
    poses = list(read(found, [Pose3D]))
    assert [pose.frame for pose in poses] == list(range(len(pairs)))
