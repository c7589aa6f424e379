"""The mirror image of what a lifter sees and says: the picture's left and right exchanged, and those of the person."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.skeleton import H36M_JOINTS, JOINT_MIRROR, KEYPOINT_MIRROR

_TO_THE_OTHER_SIDE = np.array([-1, 1, 1], np.float32)
_FEET_MIRROR = [joint - len(H36M_JOINTS) for joint in JOINT_MIRROR[len(H36M_JOINTS) :]]


def mirrored_keypoints(keypoints: Floats, width_px: float) -> Floats:
    """Keypoints [..., 17 or 21, 3] (x px, y px, confidence) as they would be in the mirrored picture."""
    other_side = KEYPOINT_MIRROR[: keypoints.shape[-2]]
    return np.asarray(keypoints[..., other_side, :] * _TO_THE_OTHER_SIDE + np.array([width_px, 0, 0], np.float32), np.float32)


def mirrored_depths(depths: Floats) -> Floats:
    """Depths [..., 17 or 21] of keypoints as they would be in the mirrored picture."""
    return depths[..., KEYPOINT_MIRROR[: depths.shape[-1]]]


def mirrored_joints(joints: Floats) -> Floats:
    """Joints [..., 17 or 21, 3] (x to the right) of the mirrored person."""
    return np.asarray(joints[..., JOINT_MIRROR[: joints.shape[-2]], :] * _TO_THE_OTHER_SIDE, np.float32)


def mirrored_sigma(sigma: Floats) -> Floats:
    """Standard deviations [..., 17 or 21, 3] along the axes of the mirrored person's joints."""
    return np.asarray(sigma[..., JOINT_MIRROR[: sigma.shape[-2]], :], np.float32)


def mirrored_contact(contact: Floats) -> Floats:
    """What is said of the parts of the feet [..., 4] (FEET), of the mirrored person."""
    return np.asarray(contact[..., _FEET_MIRROR], np.float32)
