"""What top-down networks give, SimCC or heatmaps, turned into places of our keypoints in the region that they look at.

SimCC (RTMPose; Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", 2022): a row of values along
the width and one along the height for each keypoint, `simcc_x` [1, N, r x width] and `simcc_y` [1, N, r x height] for a picture of
width x height. Heatmaps (ViTPose, HRNet): [1, N, height / s, width / s].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional

import cv2
import numpy as np

from poselift.common.arrays import Array, Doubles, Floats
from poselift.common.skeleton import COCO_KEYPOINTS

FEET_AMONG: Mapping[int, tuple[int, ...]] = {len(COCO_KEYPOINTS): (), 26: (24, 20, 25, 21), 133: (19, 17, 22, 20)}
"""Number N of a network's keypoints -> where our feet are among them: COCO's, Halpe's and those of COCO-WholeBody (as in mmpose's
configs/_base_/datasets/coco.py, halpe26.py and coco_wholebody.py). The first are COCO's in all three."""

EVEN = cv2.getGaussianKernel(11, 0)[:, 0]
"""Evens a heatmap out: as wide as for networks trained with a sigma of 2, which ViTPose and HRNet are."""
LEAST = 1e-3
"""A heatmap's values below this are noise."""


class Form(NamedTuple):
    """How a network tells of keypoints."""

    outputs: tuple[str, ...]
    decode: Callable[..., Doubles]
    """Takes these outputs, float64[N, 3]: x, y in parts of the region's width and height, confidence as the network gives it."""
    ours: list[int]
    """Which of its keypoints are ours, in our order: all, or those without feet."""
    span_px: tuple[float, float]
    """Width and height of the region in the network's picture: from its first pixel to the next after its last, or to its last."""


def form_of(outputs: Mapping[str, Array], width: int, height: int) -> Optional[Form]:
    """The form of what a network gave for a picture of this size; None where it is another."""
    names, shapes = tuple(outputs), [output.shape for output in outputs.values()]
    count = next((count for count in FEET_AMONG if all(shape[:2] == (1, count) for shape in shapes)), None)
    if count is None or not all(np.issubdtype(output.dtype, np.floating) for output in outputs.values()):
        return None
    ours = [*range(len(COCO_KEYPOINTS)), *FEET_AMONG[count]]
    if [len(shape) for shape in shapes] == [3, 3] and shapes[0][2] * height == shapes[1][2] * width > 0:
        return Form(names, decode_simcc, ours, (width, height))
    if [len(shape) for shape in shapes] == [4] and min(shapes[0]) > 0 and shapes[0][3] * height == shapes[0][2] * width > width:
        return Form(names, decode_heatmaps, ours, (width - 1, height - 1))
    return None


def decode_simcc(simcc_x: Array, simcc_y: Array) -> Doubles:
    """See `Form`. The place is that of the largest value, and the confidence the smaller of both, as in mmpose (`get_simcc_maximum`)."""
    places = [simcc[0].argmax(-1) / simcc.shape[-1] for simcc in (simcc_x, simcc_y)]
    return np.stack([*places, np.minimum(simcc_x[0].max(-1), simcc_y[0].max(-1))], -1).astype(np.float64)


def decode_heatmaps(heatmaps: Array) -> Doubles:
    """See `Form`. The place is that of the largest value, made finer; the confidence is that value.

    The first and the last pixel lie on the region's edges (Huang et al., "The Devil is in the Details: Delving into Unbiased Data
    Processing for Human Pose Estimation", 2020), as ViTPose is trained; a network for which pixels are 1 / width apart is off by up to one.
    Finer: one of Newton's steps to the top of the evened heatmap's logarithm, which for a Gaussian is the top (Zhang et al.,
    "Distribution-Aware Coordinate Representation for Human Pose Estimation", 2020).
    """
    maps = heatmaps[0].astype(np.float32)
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    y, x = np.divmod(flat.argmax(-1), width)
    places = (np.stack([x, y], -1) + _to_the_top(maps, x, y)) / (width - 1, height - 1)
    return np.column_stack([places, flat.max(-1)])


def _to_the_top(maps: Floats, x: Array, y: Array) -> Doubles:
    """From these pixels of maps [N, height, width] to the tops beside them, [N, 2], px; 0 where there is none."""
    border = len(EVEN) // 2 + 1
    wide, size = np.pad(maps, ((0, 0), (border, border), (border, border))), 2 * border + 1
    parts = np.array([one[top : top + size, left : left + size] for one, left, top in zip(wide, x, y)])
    blur = np.array([np.pad(EVEN, (shift, 2 - shift)) for shift in range(3)])
    logs = np.log(np.maximum(blur @ np.nan_to_num(parts) @ blur.T, LEAST))

    def at(right: int, down: int) -> Doubles:
        value: Doubles = logs[:, 1 + down, 1 + right]
        return value

    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    bend_x, bend_y = at(1, 0) - 2 * at(0, 0) + at(-1, 0), at(0, 1) - 2 * at(0, 0) + at(0, -1)
    twist = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    bend = bend_x * bend_y - twist**2
    top = (bend > 0) & (bend_x < 0)
    step = np.stack([twist * slope_y - bend_y * slope_x, twist * slope_x - bend_x * slope_y], -1) / np.where(top, bend, 1)[:, np.newaxis]
    found: Doubles = np.where((top & (np.abs(step).max(-1) <= 1))[:, np.newaxis], step, 0)
    return found
