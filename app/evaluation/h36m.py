"""Human3.6M in VideoPose3D's preprocessed form: keypoints of every camera beside the motion capture, checked before any of it is used.

`data_3d_h36m.npz` holds `positions_3d` = {subject: {action: float [F, 32 or 17, 3]}}: the world's axes, metres, 50 Hz.
`data_2d_h36m_*.npz` holds `positions_2d` = {subject: {action: [float [F, 17, 2], one for each of four cameras]}}, pixels, and
`metadata` with `keypoints_symmetry`, which tells the keypoints' order: COCO's, or that of Human3.6M's own joints. A video has a
few frames more than the motion capture; they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.app.evaluation.h36m_cameras import CAMERAS, Camera
from poselift.app.keypoints.object_arrays import Array, read_npz
from poselift.common.arrays import Floats
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_KEYPOINTS, COCO_MIRROR, H36M_JOINTS, H36M_MIRROR

ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""In the order of published tables. Each subject does each of them twice."""

_OTHER_SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""Of the original release."""

JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Which of the motion capture's 32 joints are `H36M_JOINTS`; the others stand still or repeat one of these."""

MAX_BYTES = 2 << 30
"""The keypoints of all subjects in double precision are 0.9 GiB."""


class Trial(NamedTuple):
    """One take of an action by one subject, before one camera."""

    name: str
    """Subject, take and camera, as in "S9 Walking 1 (camera 54138969)"."""
    action: str
    """One of ACTIONS."""
    camera: Camera
    keypoints_px: Floats
    """[F, 17, 2]"""
    world_m: Floats
    """[F, 17, 3]: Human3.6M order, the world's axes."""

    def joints_m(self) -> Floats:
        """[F, 17, 3]: the true joints from the root, in the camera's axes."""
        joints_m = self.camera.to_camera(self.world_m)
        return (joints_m - joints_m[:, :1]).astype(np.float32)


class Dataset(NamedTuple):
    """What is to be lifted, and the truth."""

    keypoint_names: tuple[str, ...]
    """COCO_KEYPOINTS or H36M_JOINTS."""
    trials: tuple[Trial, ...]


class _Take(NamedTuple):
    """One of the times that a subject does an action; equal in all files, however they spell it."""

    action: str
    number: str


def read(keypoints: Path, positions: Path, subjects: Sequence[str]) -> Dataset:
    """Everything of these subjects that `positions` has. Raises UserError with what is wrong, and where."""
    found = _content(positions, "positions_3d", "--keypoints", "positions_2d")["positions_3d"]
    content = _content(keypoints, "positions_2d", "--positions", "positions_3d")
    trials: list[Trial] = []
    for subject in subjects:
        if subject not in CAMERAS:
            raise UserError(f"--subjects {subject}: the cameras of this subject are not known; known are: {', '.join(CAMERAS)}")
        seen = _takes(keypoints, content["positions_2d"], subject)
        for take, of_take in _takes(positions, found, subject).items():
            name = f"{subject} {take.action}{take.number}"
            if take not in seen:
                raise UserError(f"{keypoints}: has no keypoints of {name}, which {positions} has")
            world_m = _joints(f"{positions}: {name}", of_take)
            for camera, view in zip(CAMERAS[subject], _views(f"{keypoints}: {name}", seen[take])):
                before = f"{name} (camera {camera.name})"
                keypoints_px = _keypoints(f"{keypoints}: {before}", view, len(world_m))
                trials.append(Trial(before, take.action, camera, keypoints_px, world_m))
    return Dataset(_layout(keypoints, content.get("metadata")), tuple(trials))


def _content(path: Path, wanted: str, other_option: str, other: str) -> dict[str, Any]:
    content = read_npz(path, MAX_BYTES)
    if isinstance(content.get(wanted), dict):
        return content
    if other in content:
        raise UserError(f"{path}: holds {other}, not {wanted}; give it with {other_option}")
    raise UserError(f"{path}: holds no {wanted} by subject; is it Human3.6M as VideoPose3D's scripts prepare it?")


def _layout(path: Path, metadata: Any) -> tuple[str, ...]:
    try:
        left, right = ([int(keypoint) for keypoint in side] for side in metadata["keypoints_symmetry"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: its metadata has no keypoints_symmetry, so the order of its keypoints is not known") from None
    for names, mirror in ((COCO_KEYPOINTS, COCO_MIRROR), (H36M_JOINTS, H36M_MIRROR)):
        ours = [keypoint for keypoint, name in enumerate(names) if name.startswith("left_")]
        if sorted(zip(left, right)) == [(keypoint, mirror[keypoint]) for keypoint in ours]:
            return names
    raise UserError(f"{path}: keypoints {left} are left and {right} right, which is neither COCO's order nor Human3.6M's")


def _takes(path: Path, found: dict[Any, Any], subject: str) -> dict[_Take, Any]:
    takes = found.get(subject)
    if not isinstance(takes, dict) or not takes:
        raise UserError(f"{path}: has nothing of {subject}; it has: {list(found)}")
    return {_take(path, subject, name): take for name, take in takes.items()}


def _take(path: Path, subject: str, name: Any) -> _Take:
    text = str(name)
    word = re.split("[^A-Za-z]", text)[0]
    action = _OTHER_SPELLINGS.get(word, word)
    if action not in ACTIONS or not text.isprintable():
        raise UserError(f"{path}: {subject} {name!r} is none of the actions {', '.join(ACTIONS)}")
    return _Take(action, text[len(word) :])


def _views(where: str, found: Any) -> Sequence[Any]:
    if not isinstance(found, (list, tuple)) or len(found) != 4:
        count = len(found) if isinstance(found, (list, tuple)) else "no list of"
        raise UserError(f"{where} has {count} cameras; 4 are needed")
    return found


def _joints(where: str, found: Any) -> Floats:
    joints_m = _numbers(where, found)
    if joints_m.ndim != 3 or joints_m.shape[1] not in (17, 32) or joints_m.shape[2] != 3:
        raise UserError(f"{where}: its positions are {joints_m.shape}; needed are (frames, 32 or 17, 3)")
    if len(joints_m) < 2:
        raise UserError(f"{where}: frames: {len(joints_m)}; at least 2 are needed for a velocity")
    if joints_m.shape[1] == 32:
        joints_m = joints_m[:, JOINTS_OF_32]
    return _finite(where, joints_m)


def _keypoints(where: str, found: Any, frames: int) -> Floats:
    keypoints_px = _numbers(where, found)
    if keypoints_px.ndim != 3 or keypoints_px.shape[1] != 17 or keypoints_px.shape[2] != 2:
        raise UserError(f"{where}: its keypoints are {keypoints_px.shape}; needed are (frames, 17, 2)")
    if len(keypoints_px) < frames:
        raise UserError(f"{where}: has {len(keypoints_px)} frames of keypoints for {frames} of positions")
    return _finite(where, keypoints_px[:frames])


def _numbers(where: str, found: Any) -> npt.NDArray[Any]:
    array = found.array if isinstance(found, Array) else None
    if array is None or array.dtype == object:
        raise UserError(f"{where}: is not one array of numbers")
    return array


def _finite(where: str, array: npt.NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32)
    bad = ~np.isfinite(floats).all((1, 2))
    if bad.any():
        raise UserError(f"{where}: frame {int(bad.argmax())} holds a number that is not finite")
    return floats
