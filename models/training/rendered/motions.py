"""What somebody does in a rendered clip: recorded motion, smoothed and varied: mirrored, bent, leaning, lying."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.skeleton import JOINT_MIRROR
from poselift.models.training.bodies import pelvis_axes
from poselift.models.training.limbs import bend
from poselift.models.training.motion import RATE_HZ
from poselift.models.training.postures import lean, topple
from poselift.models.training.recordings import Clip, wild

SMOOTHED = np.array([0.1, 0.2, 0.4, 0.2, 0.1], np.float32)
"""A moving average over frames: the recordings, kept as half floats, tremble by a millimetre."""


class Piece(NamedTuple):
    """What somebody does in a rendered clip."""

    clip: str
    start_s: float
    """In the recording, less its faulty first frame."""
    tempo: float
    """Seconds of the recording in one second."""
    mirrored: bool
    joints_m: Floats
    """[T, 17, 3]: Human3.6M order, metres, z up, at RATE_HZ; the hips start over the origin"""
    feet_m: Optional[Floats]
    """[T, 4, 3]; None where they are not known"""


def random_piece(clips: list[Clip], rng: np.random.Generator, length: int) -> Piece:
    """So many pictures from a random time of a random clip, without wild frames; a clip is drawn as often as it is long."""
    seconds = np.array([len(clip.joints_m) / clip.fps for clip in clips])
    while True:
        clip = clips[rng.choice(len(clips), p=seconds / seconds.sum())]
        last = len(clip.joints_m) - 1
        tempo = float(np.exp(np.clip(rng.normal(0, 0.2), -0.4, 0.4)))
        at = np.arange(length) * (clip.fps / RATE_HZ * tempo)
        start = rng.uniform(0, max(last - at[-1], 1e-6))
        at = last - np.abs((at + start) % (2 * last) - last)  # one that is too short is played forth and back
        frames = slice(int(at.min()), int(at.max()) + 2)
        if not wild(clip.joints_m[frames], clip.fps).any():
            break
    whole = _smooth(clip.joints_m[frames])
    within = at - frames.start
    before = np.clip(within.astype(int), 0, len(whole) - 2)
    part = (within - before)[:, None, None].astype(np.float32)
    joints_m = whole[before] * (1 - part) + whole[before + 1] * part
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        joints_m = joints_m[:, JOINT_MIRROR] * np.array([-1, 1, 1], np.float32)
    joints_m = varied(joints_m - joints_m[0, 0] * (1, 1, 0), rng).astype(np.float32)
    known = bool(np.isfinite(joints_m[:, 17:]).all())
    return Piece(clip.name, start / clip.fps, tempo, mirrored, joints_m[:, :17], joints_m[:, 17:] if known else None)


def varied(joints_m: Floats, rng: np.random.Generator) -> Floats:
    """The same motion [T, 21, 3] with limbs bent otherwise (half of the time), the trunk leaning (a quarter), or lying down (a twelfth)."""
    if rng.random() < 0.5:
        spread = np.array([0.12, 0.12, 0.35, 0.35])[:, None]
        upper, lower = rng.normal(0, 1, (2, 4, 3)) * spread
        joints_m = bend(joints_m[None], upper[None], lower[None])[0]
    if rng.random() < 0.25:
        left, _, forward = pelvis_axes(joints_m).mean(0)
        joints_m = lean(joints_m[None], (rng.uniform(-0.3, 1.2) * left + rng.normal(0, 0.25) * forward)[None])[0]
    if rng.random() < 1 / 12:
        along, angle = rng.uniform(0, 2 * np.pi), rng.uniform(1.1, 1.7)
        joints_m = topple(joints_m[None], angle * np.array([[np.cos(along), np.sin(along), 0]]))[0]
    return joints_m


def _smooth(joints_m: Floats) -> Floats:
    padded = np.pad(joints_m, ((2, 2), (0, 0), (0, 0)), mode="edge")
    shifted = np.stack([padded[i : i + len(joints_m)] for i in range(len(SMOOTHED))])
    return np.asarray(np.tensordot(SMOOTHED, shifted, 1), np.float32)
