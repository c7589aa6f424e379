"""Pictures of other sizes that show the same: their pixels as each other's. The middle of the first pixel is at (0, 0)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Size = tuple[int, int]
"""Width and height, px."""


def same_shape(one: Size, other: Size) -> bool:
    """Whether two sizes differ in scale alone, to a pixel's rounding; of (0, 0), for none yet, all do."""
    return 0 not in one and abs(one[1] * other[0] - other[1] * one[0]) <= max(one[0], other[0])


def fitted(keypoints: npt.NDArray[np.float32], size: Size, into: Size) -> npt.NDArray[np.float32]:
    """The keypoints [..., 3] (x px, y px, anything) of a picture of this `size`, fitted `into` the middle of one of another.

    (0, 0, 0), a missing one, stays so.
    """
    if size == into:
        return keypoints
    factor = _factor(size, into)
    shift = [(to - factor * of + factor - 1) / 2 for of, to in zip(size, into)]
    found: npt.NDArray[np.float32] = keypoints * np.array([factor, factor, 1], np.float32) + np.array([*shift, 0], np.float32)
    found[~keypoints.any(-1)] = 0
    return found


def with_depths_fitted(points: npt.NDArray[np.float32], size: Size, into: Size) -> npt.NDArray[np.float32]:
    """The same of points [..., 4], whose last number is a depth on the scale of x and y, or NaN."""
    if size == into:
        return points
    return np.concatenate([fitted(points[..., :3], size, into), points[..., 3:] * np.float32(_factor(size, into))], -1)


def _factor(size: Size, into: Size) -> float:
    return min(to / of for of, to in zip(size, into))
