"""What BlazePose's detector network says: its anchors, and its raw numbers turned into people.

The numbers come from the options in MediaPipe's published graph mediapipe/modules/pose_detection/pose_detection_cpu.pbtxt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from poselift.common.arrays import Array, Floats
from poselift.models.detection.blazepose_landmarks import sigmoid

INPUT_SIZE = 224
STRIDES = (8, 16, 32, 32, 32)
ANCHORS_PER_LAYER = 2
"""One for aspect ratio 1, one for the scale between this layer's and the next (`interpolated_scale_aspect_ratio`)."""
FARTHEST_PX = 10 * INPUT_SIZE
"""A box or point that lies farther out is none."""
OVERLAP = 0.3
"""Boxes with a larger intersection over union are one person (`min_suppression_threshold`)."""


class Detections(NamedTuple):
    """N people, the surest first, in pixels of the detector's input.

    `score` [N] 0..1; `hip` and `circle` [N, 2]: the alignment points (see `poselift.models.detection.blazepose_regions.around_body`).
    """

    score: Floats
    hip: Floats
    circle: Floats


def anchors() -> Floats:
    """float32[2254, 2]: each anchor's centre (x, y) in pixels of the input. Anchors have one size, that of the input.

    Layers of one stride share a grid: all anchors of a cell follow each other, cells row by row.
    """
    centers = []
    for stride in dict.fromkeys(STRIDES):
        steps = (np.arange(INPUT_SIZE // stride) + 0.5) * stride
        grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        centers.append(grid.repeat(ANCHORS_PER_LAYER * STRIDES.count(stride), axis=0))
    return np.concatenate(centers).astype(np.float32)


def decode(answer: Mapping[str, Array], centers: Floats, min_score: float) -> Detections:
    """The people in the network's answer; `centers` come from `anchors()`.

    `scores` [1, 2254, 1] are before the sigmoid. A row of `boxes` [1, 2254, 12] is centre x, y, width, height, then x, y of
    mid-hip, circle, mid-shoulder, upper-body circle; all in pixels, the points relative to the anchor's centre. Who is not told of in
    plausible numbers (NaN and infinity are none) is nobody.
    """
    logits: Floats = answer["scores"].reshape(-1).astype(np.float32, copy=False)
    sure = np.flatnonzero((logits >= np.log(min_score / (1 - min_score))) & (logits < np.inf))
    rows = answer["boxes"][0][sure, :8]
    finite = (np.abs(rows) <= FARTHEST_PX).all(axis=1)
    sure, rows = sure[finite], rows[finite]
    rows[:, [0, 1, 4, 5, 6, 7]] += np.tile(centers[sure], 3)
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    score, points = merge(sigmoid(logits[sure]), corners, rows[:, 4:])
    return Detections(score, points[:, :2], points[:, 2:])


def merge(score: Floats, corners: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Weighted non-maximum suppression, as MediaPipe's NonMaxSuppressionCalculator does it with algorithm WEIGHTED.

    The surest box, and all left that overlap it, become one person: its score is the surest box's, its values are their
    mean weighted by score. `score` [N], `corners` [N, 4] (left, top, right, bottom), `values` [N, V] -> [M], [M, V], surest first.
    """
    left = np.argsort(-score, kind="stable")
    best_scores, means = [], []
    while left.size:
        near = _overlap(corners[left[0]], corners[left]) > OVERLAP
        near[0] = True  # a box without area overlaps nothing, not even itself
        group = left[near]
        best_scores.append(score[group[0]])
        means.append(np.average(values[group], axis=0, weights=score[group]))
        left = left[~near]
    return np.array(best_scores, np.float32), np.array(means, np.float32).reshape(-1, values.shape[1])


def _overlap(one: Floats, many: Floats) -> Floats:
    """Intersection over union of a box [4] with each of `many` [N, 4]."""
    sides = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    union = np.prod(one[2:] - one[:2]) + np.prod(many[:, 2:] - many[:, :2], axis=1) - common
    overlap: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return overlap
