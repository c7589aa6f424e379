"""What VideoPose3D's networks see of a person: keypoints in normalised screen coordinates, whatever the camera.

The picture's width is 2 units, its middle is 0 in both axes, and both axes have one scale (Pavllo et al., 2019; common/camera.py there).
The network's poses are metres in the camera's axes as they are. They are metres of the adults of Human3.6M on whom it was trained: it
cannot tell a small person who is near from a large one who is far, and no height that is set here changes what it says.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats


def observe(keypoints: npt.ArrayLike, width_px: float, height_px: float, focal_px: Optional[float] = None) -> tuple[Floats, Floats]:
    """Points [..., 17, 2] and an empty view [..., 0] of keypoints [..., 17, 3] (x px, y px, confidence; COCO order).

    x becomes 2 x / width - 1 and y becomes 2 y / width - height / width. The network knows no confidence: a keypoint that is missing is
    wherever its x and y say, in the middle of the picture where they are not finite. `focal_px` plays no part.
    """
    pixels = np.asarray(keypoints, np.float32)[..., :2]
    points = pixels * np.float32(2 / width_px) - np.array([1, height_px / width_px], np.float32)
    return np.where(np.isfinite(points).all(-1, keepdims=True), points, np.float32(0)), np.zeros((*points.shape[:-2], 0), np.float32)


def to_camera(pose: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """The pose [..., J, 3] as it is: it has the camera's axes."""
    return np.asarray(pose, np.float32)


def sigma_to_camera(sigma: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """The standard deviations [..., J, 3] as they are."""
    return np.asarray(sigma, np.float32)


def body_scale_m(body_height_m: float) -> float:
    """One metre, whatever the height: the network's unit."""
    return 1.0
