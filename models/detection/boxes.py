"""Boxes in a picture: float64[4] or [N, 4]: centre x, centre y, width, height; px."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Doubles, Floats

MIN_FORM = 0.4
"""Width in heights, or height in widths, of a body: from the side its keypoints lie on a line."""


def box_around(points: Floats) -> Doubles:
    """The box [4] around a body with these points [N, 2], px."""
    low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
    size = high - low
    return np.concatenate([(low + high) / 2, np.maximum(size, MIN_FORM * size[::-1])])


def overlaps(boxes: Doubles, box: Doubles) -> Doubles:
    """Intersection over union [N] of boxes [N, 4] with one of them [4]."""
    low = np.maximum(boxes[:, :2] - boxes[:, 2:] / 2, box[:2] - box[2:] / 2)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:] / 2, box[:2] + box[2:] / 2)
    both = np.maximum(high - low, 0).prod(-1)
    found: Doubles = both / np.maximum(boxes[:, 2:].prod(-1) + box[2:].prod() - both, 1e-12)
    return found


def area(box: Doubles) -> float:
    """Of a box [4], px^2."""
    return float(box[2] * box[3])


def scaled(box: tuple[float, ...], factor: float) -> list[float]:
    """A place x, y and what is measured from there, in a picture so many times as large; (0, 0) is the middle of a pixel in both."""
    shift_px = (factor - 1) / 2
    x_px, y_px, *rest_px = box
    return [factor * x_px + shift_px, factor * y_px + shift_px, *(factor * length_px for length_px in rest_px)]
