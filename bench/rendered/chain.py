"""What both systems make of the videos, and what the lifter makes of keypoints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from bench.part import require
from bench.pipeline import COMMAND
from bench.rendered.clips import FPS, HEIGHT_PX, WIDTH_PX
from bench.rendered.errors import BODY, OF_FEET, OF_H36M
from poselift.app.config import Config, save
from poselift.app.dataflow.messages import Pose2D
from poselift.common.arrays import Floats
from poselift.common.skeleton import FEET, H36M_JOINTS, KEYPOINTS
from poselift.models.detection.blazepose_landmarks import KEYPOINT_LANDMARKS
from poselift.workers.lift import new_lift, open_lifter

PEER = Path(__file__).parents[1] / "peers/mediapipe_world.py"
PYTHON = Path(os.environ.get("POSELIFT_PEER_PYTHON", Path(__file__).parents[2] / ".venv-peer/bin/python"))


class Found(NamedTuple):
    """What one system says of the T pictures of a video; NaN where it saw nobody."""

    keypoints: Floats
    """[T, 21, 3]: x px, y px, confidence"""
    joints_m: Floats
    """[T, 12, 3]: `errors.SCORED`; x right, y down, z forward, metres, from wherever"""
    feet_m: Floats
    """[T, 4, 3]: likewise; NaN where it does not tell"""

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """[T]"""
        return np.isfinite(self.keypoints[:, 0, 0]) & np.isfinite(self.joints_m[:, 0, 0])


def ours(config: Config, video: Path, count: int, out: Path) -> Found:
    """`poselift lift VIDEO`, the command itself."""
    out.mkdir(parents=True, exist_ok=True)
    settings = out / "config.yaml"
    save(config, settings)
    _run([*COMMAND, "lift", str(video), "-o", str(out), "--no-render", "--config", str(settings)])
    found = Found(*(np.full((count, points, 3), np.nan, np.float32) for points in (len(KEYPOINTS), len(OF_H36M), len(FEET))))
    with np.load(out / "poses.npz") as poses:
        seen = ~poses["held"]
        frames = poses["frame"][seen]
        require(
            len(frames) == 0 or frames.max() < count, f"rendered: {video.name} has {count} pictures, poselift answered {frames.max() + 1}"
        )
        joints_m = poses["joints_m"][seen]
        found.keypoints[frames], found.joints_m[frames] = poses["keypoints"][seen], joints_m[:, OF_H36M]
        found.feet_m[frames] = joints_m[:, len(H36M_JOINTS) :]
    return found


def theirs(video: Path, count: int, answer: Path) -> Optional[Found]:
    """MediaPipe Pose, kept in `answer`; None where it is not installed."""
    if not answer.is_file():
        if not PYTHON.is_file():
            return None
        _run([str(PYTHON), str(PEER), str(video), str(answer)])
    with np.load(answer) as landmarks:
        require(len(landmarks["world_m"]) == count, f"rendered: MediaPipe answered {len(landmarks['world_m'])} pictures of {count}")
        world_m = landmarks["world_m"][:, KEYPOINT_LANDMARKS]
        return Found(landmarks["landmarks"][:, KEYPOINT_LANDMARKS], world_m[:, BODY], world_m[:, OF_FEET])


def lifted(config: Config, keypoints: Floats) -> Floats:
    """The lifter's joints [T, 12, 3] of keypoints [T, 21, 3], without a detector; NaN where those are."""
    lift = new_lift(open_lifter(config), config)
    joints_m = np.full((len(keypoints), len(OF_H36M), 3), np.nan, np.float32)
    for frame, points in enumerate(keypoints):
        there = np.isfinite(points).all()
        people = points[None] if there else np.empty((0, len(KEYPOINTS), 3), np.float32)
        pose = lift.step(Pose2D(frame, round(frame * 1e9 / FPS), WIDTH_PX, HEIGHT_PX, np.zeros(len(people), np.int64), people))
        if there:
            joints_m[frame] = pose.joints_m[0, OF_H36M]
    return joints_m


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    require(
        done.returncode == 0, f"rendered: {command[1:4]} left with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    )
