"""EfficientDet-Lite0: what it sees, and its raw numbers turned into boxes around people.

The numbers come from its configuration in Google's automl repository (efficientdet/hparams_config.py; Apache-2.0): anchors at five
strides, in three scales and three forms at each cell.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from poselift.common.arrays import Array, Doubles, Floats, Pixels
from poselift.models.detection.boxes import overlaps

INPUT_SIZE = 320
STRIDES = (8, 16, 32, 64, 128)
ANCHOR_SCALE = 3.0
"""Side of a cell's smallest square anchor, in strides."""
SCALES = tuple(2 ** (octave / 3) for octave in range(3))
FORMS = ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4))
"""Width and height, in sides of the square anchor."""
MAX_GROWTH = 4.0
"""Natural logarithm of the most that a box is larger than its anchor: beyond it there are no boxes in a picture."""
OVERLAP = 0.5
"""Boxes with a larger intersection over union are one person."""


def anchors() -> Floats:
    """float32[19206, 4]: each anchor's centre x, centre y, width and height, in pixels of the input; cells row by row."""
    found = []
    for stride in STRIDES:
        steps = (np.arange(-(-INPUT_SIZE // stride)) + 0.5) * stride
        cells = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 1, 2)
        sizes = np.array([np.multiply(form, ANCHOR_SCALE * stride * scale) for scale in SCALES for form in FORMS])
        found.append(np.concatenate(np.broadcast_arrays(cells, sizes), -1).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


def scaled_into(picture: Pixels) -> tuple[Pixels, float]:
    """uint8[1, 320, 320, 3] RGB: the picture (BGR) in the upper left corner, black beside it; and how many times as large it is there."""
    height_px, width_px = picture.shape[:2]
    scale = INPUT_SIZE / max(height_px, width_px)
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    whole = np.zeros((1, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    whole[0, : size[1], : size[0]] = small[..., ::-1]
    return whole, scale


def decode(answer: Mapping[str, Array], anchors: Floats, min_score: float, at_most: int) -> tuple[Doubles, Floats]:
    """The boxes of people, float64[N, 4] (centre x, centre y, width, height; pixels of the input), and their scores, float32[N].

    The surest come first, `at_most` so many.

    `scores` [1, 19206, 1], 0 to 1; a row of `boxes` [1, 19206, 4] is the box's centre y, x from the anchor's, in sizes of the anchor, and
    the logarithms of its height and width in those. Numbers that are not finite are no boxes.
    """
    scores = answer["scores"].reshape(-1)
    sure = np.flatnonzero((scores >= min_score) & (scores < np.inf))
    sure = sure[np.argsort(-scores[sure], kind="stable")]
    y, x, log_height, log_width = answer["boxes"][0][sure].astype(np.float64).T
    sound = (np.abs([y, x]) <= INPUT_SIZE).all(0) & (np.abs([log_height, log_width]) <= MAX_GROWTH).all(0)
    sure, of = sure[sound], anchors[sure[sound]].astype(np.float64)
    y, x, log_height, log_width = y[sound], x[sound], log_height[sound], log_width[sound]
    boxes = np.stack([of[:, 0] + x * of[:, 2], of[:, 1] + y * of[:, 3], of[:, 2] * np.exp(log_width), of[:, 3] * np.exp(log_height)], -1)
    kept: list[int] = []
    for place in range(len(boxes)):
        if len(kept) == at_most:
            break
        if not kept or overlaps(boxes[kept], boxes[place]).max() <= OVERLAP:
            kept.append(place)
    return boxes[kept], scores[sure[kept]]
