"""Recorded motion, without the people who are held out for judging."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError

Split = Literal["train", "validation"]

HELD_OUT = frozenset({"05", "135"})
"""CMU subjects that judge the finished lifter: no split has them, whatever source they are in."""

VALIDATION = frozenset({"02", "08", "55"})
"""CMU subjects that choose between recipes; never trained on."""

RATE_HZ = 30.0
"""Frames per second that the network knows."""


class Motion(NamedTuple):
    """Clips of one moving person each."""

    joints_m: Floats
    """[F, 17, 3]: all clips one after the other; metres, z up, Human3.6M order."""
    start: npt.NDArray[np.int64]
    """[C]: each clip's first frame"""
    length: npt.NDArray[np.int64]
    """[C]: each clip's number of frames, at its own rate"""
    fps: Floats
    """[C]"""
    names: tuple[str, ...]
    """SOURCE/SUBJECT_MOTION"""


def subject(clip_name: str) -> str:
    """The subject's number, two digits at least, or the word that stands in its place."""
    return clip_name.split("/")[1].split("_")[0].lstrip("0").rjust(2, "0")


def load_motion(path: Path, split: Split) -> Motion:
    """The clips of one split. Raises ModelError where the file is missing or has none of them."""
    if not path.is_file():
        raise ModelError(f"{path}: no motion to train on; give --motion the path of cmu_h36m17.npz")
    with np.load(path) as file:
        names = [str(name) for name in file["clip_name"]]
        chosen = [i for i, name in enumerate(names) if split_of(subject(name)) == split]
        if not chosen:
            raise ModelError(f"{path}: none of its {len(names)} clips belongs to the {split} split")
        start, length, joints = file["clip_start"], file["clip_length"], file["joints_m"]
        frames = np.concatenate([joints[start[i] : start[i] + length[i]] for i in chosen]).astype(np.float32)
        kept = length[chosen].astype(np.int64)
        return Motion(frames, np.cumsum(kept) - kept, kept, file["fps"][chosen].astype(np.float32), tuple(names[i] for i in chosen))


def sample_motion(motion: Motion, rng: np.random.Generator, count: int, length: int, tempo_spread: float = 0.2) -> Floats:
    """Joints [count, length, 17, 3] at RATE_HZ from random times of random clips, each at a tempo of its own.

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
    return np.asarray(motion.joints_m[index] * (1 - part) + motion.joints_m[index + 1] * part, np.float32)


def split_of(number: str) -> str:
    """ "train", "validation" or "held out", by the subject's number."""
    if number in HELD_OUT:
        return "held out"
    return "validation" if number in VALIDATION else "train"
