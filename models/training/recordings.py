"""Recorded motion with heels and toes, clip by clip, without its faulty frames and without the people who are held out for judging."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.errors import ModelError

Split = Literal["train", "validation"]

HELD_OUT = frozenset({"05", "135"})
"""CMU subjects that judge the finished lifter: no split has them, whatever source they are in."""
VALIDATION = frozenset({"02", "08", "55"})
"""CMU subjects that choose between recipes; never trained on."""

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


class Clip(NamedTuple):
    """One recording."""

    name: str
    """SOURCE/SUBJECT_MOTION"""
    joints_m: Floats
    """[F, 21, 3]: metres, z up; JOINTS, the feet NaN where they are not known"""
    fps: float
    floor_m: float = math.nan
    """The floor's height; NaN where there is not one floor."""


def subject(clip_name: str) -> str:
    """The subject's number, two digits at least, or the word that stands in its place."""
    return clip_name.split("/")[1].split("_")[0].lstrip("0").rjust(2, "0")


def split_of(number: str) -> str:
    """ "train", "validation" or "held out", by the subject's number."""
    if number in HELD_OUT:
        return "held out"
    return "validation" if number in VALIDATION else "train"


def load_clips(folder: Path, split: Split) -> list[Clip]:
    """The clips of one split in FILES. Raises ModelError where a file is missing or no clip belongs to the split."""
    clips = []
    for joints, feet in FILES:
        for name in (joints, feet):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: there is no such recorded motion; give --motion the folder that has it")
        with np.load(folder / joints) as of, np.load(folder / feet) as also:
            joints_m = np.concatenate([of["joints_m"], also["feet_m"]], 1).astype(np.float32)
            rows = (of["clip_name"], of["clip_start"], of["clip_length"], of["fps"], also["floor_m"])
            for name, start, length, fps, floor_m in zip(*rows):
                if split_of(subject(str(name))) == split and str(name) not in FAULTY:
                    first = start + str(name).startswith(FIRST_FAULTY)
                    clips.append(Clip(str(name), joints_m[first : start + length], float(fps), float(floor_m)))
    if not clips:
        raise ModelError(f"{folder}: none of its clips belongs to the {split} split")
    return clips


def wild(joints_m: Floats, fps: float) -> Bools:
    """Between which frames of [F, J, 3] a joint jumps against the hips, [F - 1]."""
    against = joints_m - joints_m[:, :1]
    return np.asarray(np.nanmax(np.linalg.norm(np.diff(against, axis=0), axis=-1), axis=-1) * fps > FASTEST_M_S)
