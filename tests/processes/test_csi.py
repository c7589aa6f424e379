"""The whole pipeline on the CSI camera, with stand-ins for acllite and the NPU: no test here has run on hardware."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from pipeline_run import poselift, running

from poselift.app.dataflow.messages import Pose3D

TESTS = Path(__file__).parent.parent
STAND_INS = (TESTS / "sim_acl", TESTS / "unit" / "fake_acllite")


def test_poses_from_the_boards_own_camera(configure, clip_pictures, tmp_path, monkeypatch):
    reports = tmp_path / "reports"
    reports.mkdir()
    for name, value in {
        "PYTHONPATH": ":".join(map(str, STAND_INS)),
        "FAKE_CSI_PICTURES": str(clip_pictures),
        "SIM_ACL_RUN_MODE": "DEVICE",
        "SIM_ACL_SOC": "Ascend310",
        "SIM_ACL_REPORT": str(reports),
    }.items():
        monkeypatch.setenv(name, value)
    path, config = configure()
    with running(config, path, "csi:0") as pipeline:
        poses = pipeline.until(lambda messages: [pose for pose in messages if isinstance(pose, Pose3D) and len(pose.person)][5:], "poses")
        assert all((pose.width_px, pose.height_px) == (1280, 720) for pose in poses)
        capture = pipeline.pid("capture")
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    report = json.loads((reports / f"{capture}.json").read_text())
    assert report["violations"] == []
    assert not any(report["held"].values())


def test_without_acllite_it_is_one_line(configure, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(STAND_INS[0]))
    monkeypatch.setenv("SIM_ACL_RUN_MODE", "DEVICE")
    path, _ = configure()
    result = poselift("up", "csi:0", "--config", path)
    assert result.returncode == 2
    assert result.stderr.startswith("poselift: csi:0: acllite is not on PYTHONPATH")
    assert "Traceback" not in result.stderr
