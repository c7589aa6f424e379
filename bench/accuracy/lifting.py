"""2D keypoints to 3D joints: by the lifter's class, frame by frame with times, or by the command that people type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from bench.part import WrongOutput, require
from poselift.common.people import People2D
from poselift.common.skeleton import H36M_JOINTS
from poselift.models.backends.backend import Model
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.ticks import NS_PER_S

Floats = npt.NDArray[np.float64]
BODY = len(H36M_JOINTS)
"""Joints without feet, which a part of their own measures."""


class Poses(NamedTuple):
    """Lifted people, `P` of them or one clip's (without the first axis)."""

    joints_m: Floats
    """[P, T, 17, 3]: camera axes, from the root."""
    sigma_m: Floats
    """[P, T, 17, 3]: the stated standard deviation; NaN where the lifter states none."""


def with_confidence(points_px: Floats) -> Floats:
    """The keypoints [..., 17, 2] with confidence 1 beside them, as a detector gives them that knows none."""
    return np.concatenate([points_px, np.ones((*points_px.shape[:-1], 1))], -1)


def lift(model: Model, keypoints: Floats, times_s: Floats, width_px: int, height_px: int) -> Poses:
    """Lift `P` people [P, T, 17, 3] (x px, y px, confidence) who share the times [T] and the picture, each in a slot of their own."""
    people = np.arange(len(keypoints))
    lifter = Lifter(model, slots=len(people))
    joints_m, sigma_m = (np.empty((*keypoints.shape[:2], BODY, 3)) for _ in range(2))
    for frame, t_ns in enumerate(np.rint(times_s * NS_PER_S).astype(np.int64).tolist()):
        lifted = lifter.step(t_ns, People2D(people, keypoints[:, frame]), (width_px, height_px))
        require(np.array_equal(lifted.person, people), f"frame {frame}: {len(lifted.person)} poses of {len(people)} people")
        joints_m[:, frame], sigma_m[:, frame] = lifted.joints_m[:, :BODY], lifted.sigma_m[:, :BODY]
    require(bool(np.isfinite(joints_m).all()), "a pose is not finite")
    return Poses(joints_m, sigma_m)


def lift_by_command(dataset: Path, out: Path, lifter: Path | None) -> None:
    """`poselift lift DATASET -o OUT --no-render`, with that lifter instead of the shipped one where one is given. Raises WrongOutput."""
    out.mkdir(parents=True)
    settings = out.parent / "config.yaml"
    settings.write_text(yaml.safe_dump({"lift": {"model": str(lifter.absolute())}} if lifter else {}))
    command = [sys.executable, "-m", "poselift", "lift", str(dataset), "-o", str(out), "--no-render", "--config", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise WrongOutput(f"poselift lift left with exit code {done.returncode}: {done.stderr.strip()}")


def read_poses(folder: Path, name: str) -> Poses:
    """What the command wrote of one clip, without feet."""
    with np.load(folder / name / "poses.npz") as file:
        joints_m = file["joints_m"][:, :BODY].astype(np.float64)
        return Poses(joints_m, file["sigma_m"][:, :BODY].astype(np.float64) if "sigma_m" in file else np.full_like(joints_m, np.nan))


def leave_out_feet(folder: Path) -> None:
    """Cut what the command wrote of each clip to the 17 joints: the judge takes a joint that is NaN for a clip that is missing."""
    for path in folder.glob("*/poses.npz"):
        with np.load(path) as file:
            poses = dict(file)
        np.savez(path, **{**poses, **{name: poses[name][:, :BODY] for name in ("joints_m", "sigma_m")}})
