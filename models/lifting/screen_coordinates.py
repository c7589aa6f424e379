"""The input of VideoPose3D's networks: keypoints in normalised screen coordinates, which do not depend on the camera's focal length.

The picture is 2 units wide, its middle is 0 in both axes, and both axes have the same scale (Pavllo et al., 2019; common/camera.py there).
The network's poses are already in the camera's axes and in metres: those of the adults of Human3.6M on whom it was trained. It cannot
distinguish a small person nearby from a tall one far away, and a body height that is set here has no effect.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats


def observe(
    keypoints: npt.ArrayLike,
    width_px: float,
    height_px: float,
    focal_px: Optional[float] = None,
    depth_px: Optional[npt.ArrayLike] = None,
) -> tuple[Floats, Floats]:
    """Points [..., N, 2] and an empty view [..., 0] of keypoints [..., N, 3] (x px, y px, confidence).

    x becomes 2 x / width - 1 and y becomes 2 y / width - height / width. The network has no input for confidence: a missing keypoint is
    where its x and y say, or in the middle of the picture if they are not finite. `focal_px` and `depth_px` are ignored.
    """
    pixels = np.asarray(keypoints, np.float32)[..., :2]
    points = pixels * np.float32(2 / width_px) - np.array([1, height_px / width_px], np.float32)
    return np.where(np.isfinite(points).all(-1, keepdims=True), points, np.float32(0)), np.zeros((*points.shape[:-2], 0), np.float32)


def to_camera(pose: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """The pose [..., J, 3] unchanged: it is in the camera's axes."""
    return np.asarray(pose, np.float32)


def sigma_to_camera(sigma: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """The standard deviations [..., J, 3] unchanged."""
    return np.asarray(sigma, np.float32)


def body_scale_m(body_height_m: float) -> float:
    """1 at any height: the network's unit is a metre."""
    return 1.0
