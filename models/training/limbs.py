"""Limbs that move otherwise than was recorded: there is little motion to learn from, and much that people do.

Joints are [N, L, 17, 3] throughout, as in `bodies`; the limbs are the right leg, the left leg, the left arm and the right arm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.bodies import pelvis_axes, trunk_axes

ROOTS, MIDDLES, ENDS = np.array([1, 4, 11, 14]), np.array([2, 5, 12, 15]), np.array([3, 6, 13, 16])
"""Hip, knee and ankle; shoulder, elbow and wrist."""


def exchange(joints_m: Floats, others_m: Floats, exchanged: npt.NDArray[np.bool_]) -> Floats:
    """The others' limbs where `exchanged` [N, 4] says so: legs as they stand out from their pelvis, arms as they hang from their trunks."""
    own, others = _segments(joints_m), _segments(others_m)
    for axes, limbs in ((pelvis_axes, slice(0, 2)), (trunk_axes, slice(2, 4))):
        into = np.matmul(np.swapaxes(axes(others_m), -1, -2), axes(joints_m))
        for segment in others:
            segment[:, :, limbs] = np.matmul(segment[:, :, limbs], into)
    chosen = exchanged[:, None, :, None]
    return _hang(joints_m, *(np.where(chosen, other, mine) for mine, other in zip(own, others)))


def bend(joints_m: Floats, upper_turn: Floats, lower_turn: Floats) -> Floats:
    """Each limb turned at its root, and beyond its middle joint once more, by rotation vectors [N, 4, 3] in radians and world axes."""
    upper, lower = _segments(joints_m)
    upper_rotation, lower_rotation = rotation_matrix(upper_turn), rotation_matrix(lower_turn)
    turned = np.einsum("nkij,nlkj->nlki", upper_rotation, upper)
    return _hang(joints_m, turned, np.einsum("nkij,nlkj->nlki", upper_rotation @ lower_rotation, lower))


def rotation_matrix(vectors: npt.ArrayLike) -> Floats:
    """Rotations [..., 3, 3] by vectors [..., 3]: about their direction by their length in radians (Rodrigues' formula)."""
    vectors = np.asarray(vectors, np.float32)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    return np.asarray(np.eye(3, dtype=np.float32) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, np.float32)


def _segments(joints_m: Floats) -> tuple[Floats, Floats]:
    """The upper and the lower bone of each limb, [N, L, 4, 3]."""
    middles = joints_m[:, :, MIDDLES]
    return middles - joints_m[:, :, ROOTS], joints_m[:, :, ENDS] - middles


def _hang(joints_m: Floats, upper: Floats, lower: Floats) -> Floats:
    hung: Floats = joints_m.copy()
    hung[:, :, MIDDLES] = joints_m[:, :, ROOTS] + upper
    hung[:, :, ENDS] = hung[:, :, MIDDLES] + lower
    return hung
