"""Where a body's joints truly are: the lifter's 17 joints and the feet, and the keypoints that a detector should see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.skeleton import H36M_JOINTS
from poselift.models.training.rendered.body import BONES, Body
from poselift.models.training.rendered.pose import LIMBS, Motion, coco_truth, rest_heads, sole

FEET = ("left_heel", "left_toe", "right_heel", "right_toe")
"""What follows the 17 in every array of 21."""
SHOULDERS_OVER_HIPS_M = 0.536
"""Of the recorded skeletons, on average; what the next three are measured on."""
THORAX_M, NECK_M, HEAD_M = -0.055, 0.12, 0.275
"""Heights of these joints over the middle of the shoulders in the recorded skeletons, on average; the neck lies 2 cm behind it."""


def feet(body: Body, motion: Motion) -> Floats:
    """FEET [T, 4, 3], world axes, metres: each goes along with its foot."""
    rest = rest_heads(body)
    points = []
    for side in "lr":
        bone = BONES.index(f"foot_{side}")
        points += [_carried(motion, bone, point - rest[f"foot_{side}"]) for point in sole(body, side)]
    return np.stack(points, 1)


def keypoints(body: Body, motion: Motion) -> Floats:
    """COCO's 17 keypoints and FEET, [T, 21, 3], world axes, metres."""
    return np.concatenate([coco_truth(body, motion), feet(body, motion)], 1)


def joints(body: Body, motion: Motion) -> Floats:
    """Human3.6M's 17 joints and FEET, [T, 21, 3], world axes, metres.

    Limbs are the body's own joints. The trunk's are where the recorded skeletons have them on a body of this size; each goes along with the
    bone that is there.
    """
    rest = rest_heads(body)
    shoulders, hips = (rest[f"{bone}_l"] / 2 + rest[f"{bone}_r"] / 2 for bone in ("upperarm", "thigh"))
    size = float(np.linalg.norm(shoulders - hips)) / SHOULDERS_OVER_HIPS_M
    thorax = shoulders + size * np.array([0, 0, THORAX_M])
    at_rest = {
        "hip": ("pelvis", hips),
        "spine": ("spine_02", (hips + thorax) / 2),
        "thorax": ("spine_03", thorax),
        "neck": ("neck_01", shoulders + size * np.array([0, 0.02, NECK_M])),
        "head": ("head", shoulders + size * np.array([0, 0, HEAD_M])),
    }
    points = []
    for name in H36M_JOINTS:
        side, _, part = name.partition("_")
        if part:
            points.append(motion.head_m[:, BONES.index(f"{LIMBS[part]}_{side[0]}")])
        else:
            bone, point = at_rest[name]
            points.append(_carried(motion, BONES.index(bone), point - rest[bone]))
    return np.concatenate([np.stack(points, 1).astype(np.float32), feet(body, motion)], 1)


def _carried(motion: Motion, bone: int, from_head_m: npt.NDArray[np.floating]) -> Floats:
    """A point [T, 3] that stands off a bone's beginning by so much at rest."""
    moved = motion.head_m[:, bone] + np.einsum("tij,j->ti", motion.rotation[:, bone], from_head_m)
    return np.asarray(moved, np.float32)
