"""Limbs that move otherwise than was recorded: there is little motion to learn from, and much that people do.

Joints are [N, L, 21, 3] throughout, as in `bodies`; the limbs are the right leg, the left leg, the left arm and the right arm. A foot goes
along with its shank.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.bodies import pelvis_axes, trunk_axes

ROOTS, MIDDLES, ENDS = np.array([1, 4, 11, 14]), np.array([2, 5, 12, 15]), np.array([3, 6, 13, 16])
"""Hip, knee and ankle; shoulder, elbow and wrist."""
FEET = np.array([(19, 20), (17, 18)])
"""Heel and toe of each leg."""
LEGS, ARMS = slice(0, 2), slice(2, 4)


def exchange(joints_m: Floats, others_m: Floats, exchanged: npt.NDArray[np.bool_]) -> Floats:
    """The others' limbs where `exchanged` [N, 4] says so: legs as they stand out from their pelvis, arms as they hang from their trunks."""
    own, others = _segments(joints_m), _segments(others_m)
    for axes, limbs in ((pelvis_axes, LEGS), (trunk_axes, ARMS)):
        into = np.matmul(np.swapaxes(axes(others_m), -1, -2), axes(joints_m))
        others[:, :, limbs] = np.matmul(others[:, :, limbs], into[:, :, None])
    return _hang(joints_m, np.where(exchanged[:, None, :, None, None], others, own))


def bend(joints_m: Floats, upper_turn: Floats, lower_turn: Floats) -> Floats:
    """Each limb turned at its root, and beyond its middle joint once more, by rotation vectors [N, 4, 3] in radians and world axes."""
    upper = rotation_matrix(upper_turn)
    rotation = np.stack([upper, *3 * [upper @ rotation_matrix(lower_turn)]], 2)
    return _hang(joints_m, np.einsum("nksij,nlksj->nlksi", rotation, _segments(joints_m)))


def rotation_matrix(vectors: npt.ArrayLike) -> Floats:
    """Rotations [..., 3, 3] by vectors [..., 3]: about their direction by their length in radians (Rodrigues' formula)."""
    vectors = np.asarray(vectors, np.float32)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    return np.asarray(np.eye(3, dtype=np.float32) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, np.float32)


def _segments(joints_m: Floats) -> Floats:
    """[N, L, 4, 4, 3]: of each limb the upper bone, the lower bone, and from its end heel and toe; arms have none."""
    middles, ends = joints_m[:, :, MIDDLES], joints_m[:, :, ENDS]
    segments = np.zeros((*ends.shape[:3], 4, 3), np.float32)
    segments[..., 0, :], segments[..., 1, :] = middles - joints_m[:, :, ROOTS], ends - middles
    segments[:, :, LEGS, 2:] = joints_m[:, :, FEET] - ends[:, :, LEGS, None]
    return segments


def _hang(joints_m: Floats, segments: Floats) -> Floats:
    hung: Floats = joints_m.copy()
    hung[:, :, MIDDLES] = joints_m[:, :, ROOTS] + segments[..., 0, :]
    hung[:, :, ENDS] = hung[:, :, MIDDLES] + segments[..., 1, :]
    hung[:, :, FEET] = hung[:, :, ENDS[LEGS], None] + segments[:, :, LEGS, 2:]
    return hung
