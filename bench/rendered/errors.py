"""How far joints in space are from the truth, and whether left was taken for right in the picture."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.skeleton import COCO_KEYPOINTS, COCO_MIRROR, H36M_JOINTS, KEYPOINTS

SCORED = COCO_KEYPOINTS[5:]
"""The joints that everybody has: shoulders, elbows, wrists, hips, knees, ankles."""
BODY, OF_FEET = slice(len(COCO_KEYPOINTS) - len(SCORED), len(COCO_KEYPOINTS)), slice(len(COCO_KEYPOINTS), len(KEYPOINTS))
"""Where these and the feet are among the keypoints."""
OF_H36M = [H36M_JOINTS.index(name) for name in SCORED]
MIRRORED = [COCO_MIRROR[5 + joint] - 5 for joint in range(len(SCORED))]
HIPS = [SCORED.index("left_hip"), SCORED.index("right_hip")]
GROUPS = {"arms": np.arange(2, 6), "legs": np.arange(8, 12)}
"""Joints of SCORED that a detector exchanges together; shoulders and hips lie too near each other to tell."""
APART = 0.06
"""Left and right can be told where they lie this far apart on average, in the person's size."""


def n_mpjpe(truth_m: Floats, found_m: Floats) -> Floats:
    """Mean distance [N], m, of joints [N, 12, 3] relative to the hips' middle, each pose at its best scale."""
    truth, found = _from_hips(truth_m), _from_hips(found_m)
    scale = (truth * found).sum((1, 2)) / np.maximum((found**2).sum((1, 2)), 1e-9)
    return np.asarray(np.linalg.norm(truth - scale[:, None, None] * found, axis=-1).mean(1))


def feet_error(truth_m: Floats, truth_feet_m: Floats, found_m: Floats, found_feet_m: Floats) -> Floats:
    """Mean distance [N], m, of heels and toes [N, 4, 3] relative to the hips' middle, each pose at the best scale of its 12 joints."""
    truth, found = _from_hips(truth_m), _from_hips(found_m)
    scale = ((truth * found).sum((1, 2)) / np.maximum((found**2).sum((1, 2)), 1e-9))[:, None, None]
    truth_feet, found_feet = (feet - of[:, HIPS].mean(1, keepdims=True) for feet, of in ((truth_feet_m, truth_m), (found_feet_m, found_m)))
    return np.asarray(np.linalg.norm(truth_feet - scale * found_feet, axis=-1).mean(1))


def pa_mpjpe(truth_m: Floats, found_m: Floats) -> Floats:
    """Mean distance [N], m, of joints [N, 12, 3], each pose at its best scale, place and turn (Kabsch, Umeyama)."""
    truth, found = truth_m - truth_m.mean(1, keepdims=True), found_m - found_m.mean(1, keepdims=True)
    left, size, right = np.linalg.svd(np.swapaxes(found, 1, 2) @ truth)
    sign = np.ones_like(size)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))
    scale = (size * sign).sum(1) / np.maximum((found**2).sum((1, 2)), 1e-9)
    turned = found @ (left * sign[:, None]) @ right
    return np.asarray(np.linalg.norm(truth - scale[:, None, None] * turned, axis=-1).mean(1))


def swapped(truth_px: Floats, found_px: Floats) -> dict[str, Bools]:
    """For each of GROUPS, in which pictures [N] the keypoints [N, 12, 2] fit twice as well with left and right exchanged."""
    size = np.ptp(truth_px, axis=1).max(-1)
    as_is = np.linalg.norm(found_px - truth_px, axis=-1)
    exchanged = np.linalg.norm(found_px[:, MIRRORED] - truth_px, axis=-1)
    apart = np.linalg.norm(truth_px - truth_px[:, MIRRORED], axis=-1)
    return {
        name: (apart[:, group].mean(1) > APART * size) & (as_is[:, group].mean(1) > 2 * exchanged[:, group].mean(1))
        for name, group in GROUPS.items()
    }


def runs(true: Bools) -> list[int]:
    """Lengths of the unbroken runs of True in [N]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    return [int(end - start) for start, end in zip(edges[::2], edges[1::2])]


def _from_hips(joints_m: Floats) -> Floats:
    return np.asarray(joints_m - joints_m[:, HIPS].mean(1, keepdims=True))
