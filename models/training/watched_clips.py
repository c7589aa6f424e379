"""Rendered people as BlazePose saw them (`rendered`), to learn a real detector's errors from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import JOINT_MIRROR, KEYPOINT_MIRROR
from poselift.models.detection.blazepose_landmarks import KEYPOINT_LANDMARKS
from poselift.models.training.limbs import rotation_matrix
from poselift.models.training.recordings import Split

TREMBLE = 0.002
"""Standard deviation of what is added to keypoints, in body sizes: the same clip is seen many times."""
ROLL_DEG = 8.0
"""Standard deviation of the angle by which a picture is turned."""


class WatchedClips(NamedTuple):
    """C clips of T frames each, at the network's rate."""

    keypoints: Floats
    """[C, T, 21, 3]: x and y from the picture's middle in focal lengths, confidence; NaN where nobody was seen"""
    depth: Floats
    """[C, T, 21]: how far BlazePose believes each keypoint behind the hips, on the scale of x and y"""
    joints_m: Floats
    """[C, T, 21, 3]: in the camera's axes"""
    truth: Floats
    """[C, T, 21, 2]: where the keypoints truly are, as `keypoints`"""
    focal: Floats
    """[C]: in the picture's longer sides"""


class Window(NamedTuple):
    """N sequences of L frames, as in WatchedClips."""

    keypoints: Floats
    """[N, L, 21, 3]"""
    depth: Floats
    """[N, L, 21]"""
    joints_m: Floats
    """[N, L, 21, 3]"""
    focal: Floats
    """[N]"""


def load_watched(folder: Path, split: Split) -> WatchedClips:
    """The clips of one split in a folder of `models.training.rendered`. Raises ModelError where there are none."""
    keypoints, depth, joints, truth, focal = [], [], [], [], []
    for path in sorted(folder.glob("clip-*.npz")):
        with np.load(path) as clip:
            if str(clip["split"]) == split:
                points = (clip["seen_px"] - clip["size_px"] / 2) / clip["focal_px"]
                confidence = np.minimum(clip["seen_visibility"], clip["seen_presence"])
                keypoints.append(np.concatenate([points, confidence[..., None]], -1)[:, KEYPOINT_LANDMARKS])
                depth.append(clip["seen_depth_px"][:, KEYPOINT_LANDMARKS] / clip["focal_px"])
                joints.append(clip["joints_m"])
                truth.append((clip["keypoints_px"] - clip["size_px"] / 2) / clip["focal_px"])
                focal.append(clip["focal_px"] / clip["size_px"].max())
    if not keypoints:
        raise ModelError(f"{folder}: no rendered clips of the {split} split; make them by python -m poselift.models.training.rendered")
    return WatchedClips(*(np.array(values, np.float32) for values in (keypoints, depth, joints, truth, focal)))


def sample_watched(clips: WatchedClips, rng: np.random.Generator, count: int, length: int, invent: bool = True) -> Window:
    """Random stretches in which somebody was seen all the time; invented: mirrored half of the time, rolled, and trembling a little."""
    possible = starts(clips, length)
    clip, start = possible[rng.integers(len(possible), size=count)].T
    frames = start[:, None] + np.arange(length)
    keypoints, depth, joints_m = (values[clip[:, None], frames] for values in clips[:3])
    if invent:
        mirrored = (rng.random(count) < 0.5)[:, None, None, None]
        keypoints = np.where(mirrored, keypoints[..., KEYPOINT_MIRROR, :] * np.array([-1, 1, 1], np.float32), keypoints)
        depth = np.where(mirrored[..., 0], depth[..., KEYPOINT_MIRROR], depth)
        joints_m = np.where(mirrored, joints_m[..., JOINT_MIRROR, :] * np.array([-1, 1, 1], np.float32), joints_m)
        roll = rotation_matrix(np.radians(rng.normal(0, ROLL_DEG, (count, 1))) * (0, 0, 1))[:, None]
        joints_m = joints_m @ roll
        keypoints[..., :2] = keypoints[..., :2] @ roll[..., :2, :2]
        size = np.ptp(keypoints[..., :2], axis=2).max((-1, -2))[:, None, None, None]
        keypoints[..., :2] += TREMBLE * size * rng.standard_normal(keypoints[..., :2].shape, np.float32)
    return Window(keypoints, depth, joints_m, clips.focal[clip])


def starts(clips: WatchedClips, length: int) -> npt.NDArray[np.int64]:
    """[S, 2]: clip and first frame of every stretch of so many frames in which somebody was seen all the time."""
    seen = np.isfinite(clips.keypoints).reshape(*clips.keypoints.shape[:2], -1).all(-1)
    unseen = np.pad(np.cumsum(~seen, 1), ((0, 0), (1, 0)))
    return np.argwhere(unseen[:, length:] == unseen[:, :-length])
