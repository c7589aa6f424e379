"""Triangles to pixels, with a z-buffer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats

Ints = npt.NDArray[np.int64]


class Fragments(NamedTuple):
    """What is seen in each covered pixel, N of them."""

    pixel: Ints
    """[N]: row times width plus column"""
    triangle: Ints
    """[N]"""
    shares: Floats
    """[N, 3]: of the triangle's corners, summing to 1; linear in the picture"""


def rasterise(points_px: Floats, depth: Floats, triangles: Ints, width: int, height: int) -> Fragments:
    """The nearest triangle at each pixel's centre.

    `points_px` [V, 2] (x right, y down; a pixel's centre lies at + 0.5), `depth` [V] grows away from the eye, `triangles` [T, 3]
    are seen only where their corners go counter-clockwise in the picture.
    """
    corners = points_px[triangles].astype(np.float32)
    low = np.maximum(np.ceil(corners.min(1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(corners.max(1) - 0.5), (width - 1, height - 1)).astype(np.int64)
    edge_a, edge_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge_a[:, 0] * edge_b[:, 1] - edge_a[:, 1] * edge_b[:, 0]
    facing = np.flatnonzero((area < 0) & (high >= low).all(1))
    size = high[facing] - low[facing] + 1
    count = size.prod(1)
    which = np.repeat(facing, count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(within, np.repeat(size[:, 0], count))
    x, y = low[which, 0] + column, low[which, 1] + row
    across = np.stack([x + 0.5, y + 0.5], -1).astype(np.float32) - corners[which, 0]
    share_b = (across[:, 0] * edge_b[which, 1] - across[:, 1] * edge_b[which, 0]) / area[which]
    share_c = (edge_a[which, 0] * across[:, 1] - edge_a[which, 1] * across[:, 0]) / area[which]
    inside = (share_b >= 0) & (share_c >= 0) & (share_b + share_c <= 1)
    which, share_b, share_c, pixel = which[inside], share_b[inside], share_c[inside], (y * width + x)[inside]
    shares = np.stack([1 - share_b - share_c, share_b, share_c], -1)
    far_first = np.argsort(-(depth[triangles[which]] * shares).sum(1), kind="stable")
    nearest = np.full(width * height, -1, np.int64)
    nearest[pixel[far_first]] = far_first  # of equal indices, numpy keeps the last
    seen = nearest[nearest >= 0]
    return Fragments(pixel[seen], which[seen], shares[seen])
