"""Regions of interest: the turned squares of a picture that BlazePose's networks look at."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from poselift.models.detection.boxes import scaled

Points = npt.NDArray[np.float64]

MARGIN = 1.25
"""A region's side against the body circle's diameter (`scale_x`, `scale_y` in MediaPipe's pose_detection_to_roi.pbtxt)."""


class Region(NamedTuple):
    """A square in a picture, in its pixels: centre, and the vector from there to the middle of the side that is up to the person."""

    x_px: float
    y_px: float
    up_x_px: float
    up_y_px: float

    @property
    def side_px(self) -> float:
        """Length of a side."""
        return 2 * hypot(self.up_x_px, self.up_y_px)

    def scaled(self, factor: float) -> Region:
        """The same in a picture so many times as large; (0, 0) is the middle of a pixel in both."""
        return Region(*scaled(self, factor))


def around_body(hip: Points, circle: Points) -> Region:
    """The region of a person with the mid-hip at `hip` and its body circle's top at `circle` (x, y in pixels).

    BlazePose's two alignment points: the circle is centred on the mid-hip, encloses the whole body, and its top lies in the
    direction of the spine (Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020, figure 2).
    """
    up_x_px, up_y_px = (MARGIN * (circle - hip)).tolist()
    return Region(float(hip[0]), float(hip[1]), up_x_px, up_y_px)


def whole_picture(width_px: int, height_px: int) -> Region:
    """The smallest upright square that holds the whole picture, on its centre."""
    return Region(width_px / 2, height_px / 2, 0.0, -max(width_px, height_px) / 2)


def to_picture(region: Region, size: int) -> Points:
    """float64[2, 3]: takes pixels (x, y, 1) of the region seen as a `size` x `size` picture to pixels of the whole picture.

    Pixel 0 lies on the region's edge, with no half pixel added, as in MediaPipe's image_to_tensor converters.
    """
    x, y, up_x, up_y = region
    right_x, right_y = -up_y, up_x
    step = 2 / size
    return np.array(
        [
            [right_x * step, -up_x * step, x - right_x + up_x],
            [right_y * step, -up_y * step, y - right_y + up_y],
        ]
    )


def transform(points: npt.NDArray[np.floating], matrix: Points) -> Points:
    """Points [..., 2] through an affine `matrix` [2, 3]."""
    moved: Points = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def cut_out(picture: npt.NDArray[np.uint8], matrix: Points, size: int, border: int) -> npt.NDArray[np.uint8]:
    """uint8[1, size, size, 3] RGB: the region behind `matrix` (see `to_picture`), out of a BGR picture.

    `border` says what lies outside the picture (a cv2.BORDER_ constant; black where that is BORDER_CONSTANT).
    """
    cut = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
    rgb: npt.NDArray[np.uint8] = cv2.cvtColor(cut, cv2.COLOR_BGR2RGB)
    return rgb[np.newaxis]
