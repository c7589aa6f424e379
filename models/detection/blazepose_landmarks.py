"""What BlazePose's landmark network says: its raw numbers turned into keypoints and alignment points.

The numbers come from the options in MediaPipe's published graph
mediapipe/modules/pose_landmark/tensors_to_pose_landmarks_and_segmentation.pbtxt.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Array, Floats

INPUT_SIZE = 256
COCO_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""For each COCO keypoint, its place among BlazePose's 33 body landmarks."""
KEYPOINT_LANDMARKS = (*COCO_LANDMARKS, 29, 31, 30, 32)
"""The same of all 21. BlazePose has both heels before both toes, which it calls foot index."""
ALIGNMENT_LANDMARKS = (33, 34)
"""The auxiliary landmarks: mid-hip and the body circle's top (see `poselift.models.detection.blazepose_regions.around_body`)."""
USED = np.array(KEYPOINT_LANDMARKS + ALIGNMENT_LANDMARKS)
FARTHEST = 10 * INPUT_SIZE
"""A landmark that lies farther out, in pixels, or is surer than this, is none."""

REACH = np.arange(-3, 4)
"""Cells of the heatmap around a landmark that refine it (`kernel_size: 7`)."""
MIN_HEAT = 0.5
"""Below this everywhere around it, a landmark stays as it is (default of `min_confidence_to_refine`)."""


def somebody(answer: Mapping[str, Array], min_presence: float) -> bool:
    """Whether the network's answer shows a person: its `flag` [1, 1] (0 to 1) says so, and all that `decode` takes are plausible numbers.

    NaN and infinity are none.
    """
    rows = answer["landmarks"].reshape(-1, 5)[USED]
    return bool(min_presence <= answer["flag"][0, 0] < np.inf and (np.abs(rows) <= FARTHEST).all())


def decode(answer: Mapping[str, Array]) -> tuple[Floats, Floats, Floats]:
    """The points [23, 2] (21 keypoints, mid-hip, circle; pixels of the input), the keypoints' confidence [21], 0..1, and depth [21].

    The depth is how far behind the middle of the hips a keypoint is, in pixels of the input.

    `landmarks` [1, 195] of the network's answer: 39 rows of x, y, z (pixels), visibility and presence (before the sigmoid).
    `heatmap` [1, 39, 64, 64], one map a landmark, makes the points finer.
    """
    rows = answer["landmarks"].reshape(-1, 5)[USED]
    points = refine(rows[:, :2], answer["heatmap"][0], USED)
    # Visible means in the picture and not hidden, present means in the picture: the smaller estimate is the safe one for both.
    of_keypoints = rows[: len(KEYPOINT_LANDMARKS)]
    return points, sigmoid(of_keypoints[:, 3:].min(axis=1)), of_keypoints[:, 2]


def refine(points: Floats, heatmap: Floats, numbers: npt.NDArray[np.intp]) -> Floats:
    """`points` [N, 2], each moved to the centre of mass of the heat around it.

    `heatmap` [M, S, S] before the sigmoid; `numbers` [N] says which map belongs to which point. As in MediaPipe's
    RefineLandmarksFromHeatmapCalculator, a cell stands for the point at its upper left corner. Heat that is no number refines nothing.
    """
    size = heatmap.shape[1]
    scale = size / INPUT_SIZE
    cells = (points * scale).astype(np.intp)[:, :, np.newaxis] + REACH
    inside = (cells >= 0) & (cells < size)
    (columns, rows), (column_inside, row_inside) = (cells % size).transpose(1, 0, 2), inside.transpose(1, 0, 2)
    logits = heatmap[numbers[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis]]
    heat = sigmoid(logits)
    heat *= row_inside[:, :, np.newaxis] & column_inside[:, np.newaxis]
    hot = inside[:, :, len(REACH) // 2].all(axis=1) & (heat.max(axis=(1, 2)) >= MIN_HEAT) & (logits.max(axis=(1, 2)) < np.inf)
    along_columns, along_rows = heat.sum(axis=1), heat.sum(axis=2)
    moments = np.stack([(along_columns * columns).sum(axis=1), (along_rows * rows).sum(axis=1)], axis=1)
    mass = np.where(hot, along_rows.sum(axis=1), 1)
    refined: Floats = np.where(hot[:, np.newaxis], moments / (scale * mass)[:, np.newaxis], points)
    return refined


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), in the form that cannot overflow."""
    half = np.float32(0.5)
    probability: Floats = half * np.tanh(half * logits) + half
    return probability
