"""Recorded motion with heels and toes, without its faulty frames, and varied: mirrored, bent, leaning, lying."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import H36M_JOINTS, H36M_MIRROR
from poselift.models.training.bodies import UPPER_BODY, pelvis_axes
from poselift.models.training.limbs import bend, rotation_matrix
from poselift.models.training.motion import RATE_HZ, Split, split_of, subject

FILES = (("cmu_h36m17.npz", "cmu_feet.npz"), ("cmu_more.npz", "cmu_more.npz"))
"""Joints, and where their heels and toes are."""
FAULTY = frozenset(
    {
        "exp/train_directing_traffic_directing_traffic_1",
        *(f"exp/{part}_walking_extra_walking_{n}" for part in ("train", "test") for n in (22, 23, 24, 49, 50)),
    }
)
"""Clips with many wild frames."""
FIRST_FAULTY = ("exp/", "bvh/07_12", "bvh/09_10")
"""How the names of clips begin whose first frame is a pose left over."""
FASTEST_M_S = 16.0
"""No joint moves faster against the hips from one frame to the next, unless the recording is wrong there."""
SMOOTHED = np.array([0.1, 0.2, 0.4, 0.2, 0.1], np.float32)
"""A moving average over frames: the recordings, kept as half floats, tremble by a millimetre."""
MIRROR = (*H36M_MIRROR, 19, 20, 17, 18)
ANKLES = {H36M_JOINTS.index("right_ankle"): (0, slice(19, 21)), H36M_JOINTS.index("left_ankle"): (1, slice(17, 19))}
"""For each ankle, its limb in `limbs`, and its heel and toe."""


class Clip(NamedTuple):
    """One recording."""

    name: str
    """SOURCE/SUBJECT_MOTION"""
    joints_m: Floats
    """[F, 21, 3]: metres, z up; Human3.6M order, then left heel, left toe, right heel, right toe, NaN where they are not known"""
    fps: float


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


def load_clips(folder: Path, split: Split) -> list[Clip]:
    """The clips of one split in FILES. Raises ModelError where a file is missing or no clip belongs to the split."""
    clips = []
    for joints, feet in FILES:
        for name in (joints, feet):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: there is no such recorded motion; give --motion the folder that has it")
        with np.load(folder / joints) as of, np.load(folder / feet) as also:
            joints_m = np.concatenate([of["joints_m"], also["feet_m"]], 1).astype(np.float32)
            for name, start, length, fps in zip(of["clip_name"], of["clip_start"], of["clip_length"], of["fps"]):
                if split_of(subject(str(name))) == split and str(name) not in FAULTY:
                    first = start + str(name).startswith(FIRST_FAULTY)
                    clips.append(Clip(str(name), joints_m[first : start + length], float(fps)))
    if not clips:
        raise ModelError(f"{folder}: none of its clips belongs to the {split} split")
    return clips


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
        if not _wild(clip.joints_m[frames], clip.fps):
            break
    whole = _smooth(clip.joints_m[frames])
    within = at - frames.start
    before = np.clip(within.astype(int), 0, len(whole) - 2)
    part = (within - before)[:, None, None].astype(np.float32)
    joints_m = whole[before] * (1 - part) + whole[before + 1] * part
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        joints_m = joints_m[:, MIRROR] * np.array([-1, 1, 1], np.float32)
    joints_m = varied(joints_m - joints_m[0, 0] * (1, 1, 0), rng).astype(np.float32)
    known = bool(np.isfinite(joints_m[:, 17:]).all())
    return Piece(clip.name, start / clip.fps, tempo, mirrored, joints_m[:, :17], joints_m[:, 17:] if known else None)


def varied(joints_m: Floats, rng: np.random.Generator) -> Floats:
    """The same motion [T, 21, 3] with limbs bent otherwise (half of the time), the trunk leaning (a quarter), or lying down (a twelfth)."""
    if rng.random() < 0.5:
        spread = np.array([0.12, 0.12, 0.35, 0.35])[:, None]
        upper, lower = rng.normal(0, 1, (2, 4, 3)) * spread
        bent = bend(joints_m[None, :, :17], upper[None], lower[None])[0]
        turns = rotation_matrix(upper) @ rotation_matrix(lower)
        feet = np.empty_like(joints_m[:, 17:])
        for ankle, (limb, foot) in ANKLES.items():
            own = joints_m[:, foot] - joints_m[:, ankle, None]
            feet[:, foot.start - 17 : foot.stop - 17] = bent[:, ankle, None] + own @ turns[limb].T
        joints_m = np.concatenate([bent, feet], 1)
    if rng.random() < 0.25:
        left, _, forward = pelvis_axes(joints_m[:, :17]).mean(0)
        lean = rotation_matrix(rng.uniform(-0.3, 1.2) * left + rng.normal(0, 0.25) * forward)
        joints_m = joints_m.copy()
        joints_m[:, UPPER_BODY] = joints_m[:, :1] + (joints_m[:, UPPER_BODY] - joints_m[:, :1]) @ lean.T
    if rng.random() < 1 / 12:
        along, angle = rng.uniform(0, 2 * np.pi), rng.uniform(1.1, 1.7)
        joints_m = joints_m @ rotation_matrix(angle * np.array([np.cos(along), np.sin(along), 0])).T
    return joints_m


def _wild(joints_m: Floats, fps: float) -> bool:
    """Whether a joint jumps against the hips."""
    against = joints_m - joints_m[:, :1]
    return bool(np.nanmax(np.linalg.norm(np.diff(against, axis=0), axis=-1)) * fps > FASTEST_M_S)


def _smooth(joints_m: Floats) -> Floats:
    padded = np.pad(joints_m, ((2, 2), (0, 0), (0, 0)), mode="edge")
    shifted = np.stack([padded[i : i + len(joints_m)] for i in range(len(SMOOTHED))])
    return np.asarray(np.tensordot(SMOOTHED, shifted, 1), np.float32)
