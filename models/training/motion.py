"""What people do: recorded motion in one array, drawn from at the network's rate."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.recordings import Clip, Split, load_clips, wild

RATE_HZ = 30.0
"""Frames per second that the network knows."""
SHORTEST_S = 0.5
"""What is shorter between two wild frames is not learnt from."""
CONTACT_M, CONTACT_M_S = 0.05, 0.3
"""A heel or toe that is lower over the floor and slower than this touches it."""


class Motion(NamedTuple):
    """Clips of one moving person each."""

    joints_m: Floats
    """[F, 21, 3]: all clips one after the other; metres, z up, JOINTS"""
    contact: Floats
    """[F, 4]: 1 where a heel or toe (FEET) touches the floor, 0 where not, NaN where it is not known"""
    start: npt.NDArray[np.int64]
    """[C]: each clip's first frame"""
    length: npt.NDArray[np.int64]
    """[C]: each clip's number of frames, at its own rate"""
    fps: Floats
    """[C]"""
    names: tuple[str, ...]
    """SOURCE/SUBJECT_MOTION"""


def load_motion(folder: Path, split: Split) -> Motion:
    """The clips of one split whose feet are known, cut where they are wild; raises ModelError as `load_clips`."""
    return joined([part for clip in load_clips(folder, split) if np.isfinite(clip.joints_m).all() for part in calm_parts(clip)])


def joined(clips: list[Clip]) -> Motion:
    """The clips in one array."""
    length = np.array([len(clip.joints_m) for clip in clips], np.int64)
    return Motion(
        np.concatenate([clip.joints_m for clip in clips]),
        np.concatenate([contact_of(clip) for clip in clips]),
        np.cumsum(length) - length,
        length,
        np.array([clip.fps for clip in clips], np.float32),
        tuple(clip.name for clip in clips),
    )


def calm_parts(clip: Clip) -> list[Clip]:
    """The clip without its wild frames."""
    cuts = [0, *(np.flatnonzero(wild(clip.joints_m, clip.fps)) + 1), len(clip.joints_m)]
    parts = [clip._replace(joints_m=clip.joints_m[start:stop]) for start, stop in zip(cuts, cuts[1:])]
    return [part for part in parts if len(part.joints_m) >= SHORTEST_S * clip.fps]


def contact_of(clip: Clip) -> Floats:
    """[F, 4]: as `Motion.contact`, by height and by the speed from 1 / 30 s before to 1 / 30 s after."""
    feet_m = clip.joints_m[:, -4:]
    frames, reach = np.arange(len(feet_m)), max(1, round(clip.fps / RATE_HZ))
    before, after = np.maximum(frames - reach, 0), np.minimum(frames + reach, len(feet_m) - 1)
    speed_m_s = np.linalg.norm(feet_m[after] - feet_m[before], axis=-1) * clip.fps / (after - before)[:, None]
    touching = (feet_m[..., 2] - clip.floor_m < CONTACT_M) & (speed_m_s < CONTACT_M_S)
    return np.where(np.isfinite(clip.floor_m), touching, np.nan).astype(np.float32)


def sample_motion(motion: Motion, rng: np.random.Generator, count: int, length: int, tempo_spread: float = 0.2) -> tuple[Floats, Floats]:
    """Joints [count, length, 21, 3] and contact [count, length, 4] at RATE_HZ from random times of random clips, each at its own tempo.

    A clip is drawn as often as it is long. One that is too short is played forth and back.
    """
    seconds = motion.length / motion.fps
    clip = rng.choice(len(seconds), count, p=seconds / seconds.sum())
    tempo = np.exp(np.clip(rng.normal(0, tempo_spread, count), -0.5, 0.5))
    last = (motion.length[clip] - 1)[:, None]
    at = np.arange(length) * (motion.fps[clip] / RATE_HZ * tempo)[:, None]
    at = at + rng.uniform(0, np.maximum(last - at[:, -1:], 1e-6))
    at = last - np.abs(at % (2 * last) - last)
    before = np.clip(at.astype(np.int64), 0, last - 1)
    part = (at - before)[..., None, None].astype(np.float32)
    index = motion.start[clip][:, None] + before
    joints_m = motion.joints_m[index] * (1 - part) + motion.joints_m[index + 1] * part
    return np.asarray(joints_m, np.float32), motion.contact[motion.start[clip][:, None] + np.rint(at).astype(np.int64)]
