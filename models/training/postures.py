"""People who lean and who lie: recorded motion has few of them. Joints are [N, L, 21, 3], as in `bodies`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.bodies import UPPER_BODY
from poselift.models.training.limbs import rotation_matrix


def lean(joints_m: Floats, turns: npt.ArrayLike) -> Floats:
    """The upper body turned at the hips by rotation vectors [N, 3], in radians and world axes."""
    leaning: Floats = joints_m.copy()
    from_hip = joints_m[:, :, UPPER_BODY] - joints_m[:, :, :1]
    leaning[:, :, UPPER_BODY] = joints_m[:, :, :1] + from_hip @ np.swapaxes(rotation_matrix(turns), -1, -2)[:, None]
    return leaning


def topple(joints_m: Floats, turns: npt.ArrayLike) -> Floats:
    """The whole person turned by rotation vectors [N, 3], in radians and world axes, about the world's origin."""
    return np.asarray(joints_m @ np.swapaxes(rotation_matrix(turns), -1, -2)[:, None], np.float32)
