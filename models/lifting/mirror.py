"""The mirror image of what a lifter sees and says: the picture's left and right exchanged, and those of the person."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_MIRROR, H36M_MIRROR

_TO_THE_OTHER_SIDE = np.array([-1, 1, 1], np.float32)


def mirrored_keypoints(keypoints: Floats, width_px: float) -> Floats:
    """Keypoints [..., 17, 3] (x px, y px, confidence; COCO order) as they would be in the mirrored picture."""
    return np.asarray(keypoints[..., COCO_MIRROR, :] * _TO_THE_OTHER_SIDE + np.array([width_px, 0, 0], np.float32), np.float32)


def mirrored_joints(joints: Floats) -> Floats:
    """Joints [..., 17, 3] (Human3.6M order; x to the right) of the mirrored person."""
    return np.asarray(joints[..., H36M_MIRROR, :] * _TO_THE_OTHER_SIDE, np.float32)


def mirrored_sigma(sigma: Floats) -> Floats:
    """Standard deviations [..., 17, 3] along the axes of the mirrored person's joints."""
    return np.asarray(sigma[..., H36M_MIRROR, :], np.float32)
