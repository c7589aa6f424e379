"""Where a person is: the root's own position in the camera's axes, from the root-relative pose and its keypoints by the pinhole model.

A keypoint that lies (u, v) from the picture's middle, in focal lengths, is seen along the ray (u, v, 1). A joint (X, Y, Z) from the
root, which is at t, lies on that ray where

    tx - u tz = u Z - X = p    and    ty - v tz = v Z - Y = q

These are two linear equations in t for each keypoint. Their weighted least squares solution is that of a regression line: with du, dv, dp
and dq from the weighted means, tz = -sum w (du dp + dv dq) / sum w (du^2 + dv^2), and tx and ty follow from the means.

What the position depends on:

- *The focal length*, where it is not known: depth is wrong by the factor by which the assumed one is; right and down stay nearly
  as they are. Lenses run from 0.7 to 1.6 of the assumed focal length, so the distance is a rough one until `focal_px` is given.
- *The body's height*: all three coordinates scale with it exactly, as the pose does.
- *The pose*: one whose limbs are drawn 3 % too long across the picture is placed 3 % too far away.

The principal point is taken to be the picture's middle, and the lens to be free of distortion.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.camera import focal_length_px
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS

PLACES = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    ("left_elbow",), ("right_elbow",), ("left_wrist",), ("right_wrist",),
    ("left_knee",), ("right_knee",), ("left_ankle",), ("right_ankle",),
)  # fmt: skip
"""Where keypoints and joints are compared. COCO's hips lie about 1.3 times as far apart as Human3.6M's, and detectors' shoulders
differ too, but all symmetrically: so of each of these pairs only the mean of its equations counts, or those of the one that was seen."""

MIN_KEYPOINTS = 3
"""Two would do for a distance, but nothing would tell that one of them is wrong."""

MIN_SPREAD = 0.003
"""Of the rays about their mean, root mean square, in focal lengths: that of a body 150 m away. Closer together they tell no distance."""

_NAMES = [name for place in PLACES for name in place]
_KEYPOINTS = [COCO_KEYPOINTS.index(name) for name in _NAMES]
_JOINTS = [H36M_JOINTS.index(name) for name in _NAMES]
_MEMBERS = np.array([[name in place for name in _NAMES] for place in PLACES], np.float64)
_TINY = 1e-12  # keeps 0 / 0 away; what it gives is no position


def locate_roots(
    joints_m: npt.ArrayLike, keypoints: npt.ArrayLike, width_px: float, height_px: float, focal_px: float | None = None
) -> Floats:
    """The root's position [..., 3] in camera axes (x right, y down, z forward), metres; NaN where it cannot be told.

    `joints_m` [..., J, 3]: camera axes, metres from the root. `keypoints` [..., N, 3]: x px, y px and confidence at the same moment, all
    finite. The confidence is the weight, and at 0 a keypoint takes no part. Nor do feet: both may be without them. Where `focal_px` is
    None, one is assumed (`poselift.common.camera`). It cannot be told from fewer than `MIN_KEYPOINTS` keypoints of the arms, the legs and
    the trunk's corners, from rays that hardly differ (`MIN_SPREAD`), or where the best place is behind the camera.
    """
    focal_px = focal_length_px(focal_px, width_px, height_px)
    points = np.asarray(keypoints, np.float64)[..., _KEYPOINTS, :]
    joints = np.asarray(joints_m, np.float64)[..., _JOINTS, :]
    confidence = points[..., 2:]
    rays = (points[..., :2] - (width_px / 2, height_px / 2)) / focal_px
    offsets = rays * joints[..., 2:] - joints[..., :2]

    weight = _MEMBERS @ confidence
    places = _MEMBERS @ (confidence * np.concatenate([rays, offsets], -1)) / np.maximum(weight, _TINY)
    rays, offsets = places[..., :2], places[..., 2:]
    weight = weight / np.maximum(weight.sum(-2, keepdims=True), _TINY)
    mean_ray, mean_offset = (weight * rays).sum(-2), (weight * offsets).sum(-2)
    from_mean = weight * (rays - mean_ray[..., None, :])
    square = (from_mean * rays).sum((-1, -2))[..., None]
    depth = -(from_mean * offsets).sum((-1, -2))[..., None] / np.maximum(square, _TINY)

    known = ((confidence > 0).sum(-2) >= MIN_KEYPOINTS) & (square >= MIN_SPREAD**2) & (depth > 0)
    return np.where(known, np.concatenate([mean_offset + mean_ray * depth, depth], -1), np.nan).astype(np.float32)
