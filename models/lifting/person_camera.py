"""What the lifter sees of a person: keypoints in a camera of the person's own, that looks at them wherever they stand.

A person at the edge of a picture is seen under another angle than one in its middle, and a near one is larger than a far
one. Both are taken out before the network: the keypoints become rays of the real camera, the rays are turned into a
virtual camera that looks at the centre of the person's box, and are divided by the size of the box. The network predicts the
pose in the virtual camera's axes; `to_camera` turns it back.

Frames: pixels (x right, y down, origin at the upper left corner); both cameras x right, y down, z forward. The virtual
camera is the real one turned by a yaw about its y axis and then by a pitch about its own x axis, so its x axis stays in the
real camera's x-z plane: turning the real camera about its y axis changes nothing but the ray of the box centre.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Bools, Floats
from poselift.common.camera import focal_length_px
from poselift.common.skeleton import COCO_KEYPOINTS, FEET, KEYPOINT_BONES

BODY_BONES = ((5, 7), (6, 8), (7, 9), (8, 10), (11, 13), (12, 14), (13, 15), (14, 16), (5, 6), (11, 12), (5, 11), (6, 12))
FOOT_BONES = tuple(bone for bone in KEYPOINT_BONES if max(bone) >= len(COCO_KEYPOINTS))
BONES = {len(COCO_KEYPOINTS): BODY_BONES, len(COCO_KEYPOINTS) + len(FEET): BODY_BONES + FOOT_BONES}
"""By the number of keypoints, the pairs whose distances are features: arms, legs, shoulders, hips, the trunk's sides; then the feet."""

_ENDS = {count: np.array(bones).T for count, bones in BONES.items()}

DEPTHS = {len(COCO_KEYPOINTS): 0, len(COCO_KEYPOINTS) + len(FEET): len(COCO_KEYPOINTS) + len(FEET)}
"""By the number of keypoints, how many of their depths are features."""

FEATURES = {count: 3 * count + 3 + 1 + len(bones) + DEPTHS[count] for count, bones in BONES.items()}
"""Features of one frame: (x, y, confidence) of each keypoint, ray of the box centre, size of the box, bone lengths, depths."""

BODY_SCALE_OF_HEIGHT = 0.779
"""Thigh + shank + trunk (hip to shoulder line) of a standing height: 0.245 + 0.246 + 0.288, from the segment lengths of Drillis
and Contini (1966) as drawn in Winter, "Biomechanics and Motor Control of Human Movement". The motion capture that the lifter
learns from gives about 0.776 (median 1.30 m, beside heads 1.61 m above the ankles, which lie 0.039 of the height up)."""

SIZE_UNIT = 4.0  # brings the usual sizes, 0.05 to 0.5 of the viewing distance, to about 1
MIN_SIZE = 0.01  # of the viewing distance: a person at 90 m; smaller boxes are those of a single keypoint
MAX_TANGENT = 10.0  # 84 degrees off the axis; a keypoint farther out is a wild one
MAX_DEPTH = 4.0  # of the box's half size: nobody reaches farther
MIN_DEPTH = 0.05  # of a ray's length, in the virtual camera: likewise


def observe(
    keypoints: npt.ArrayLike,
    width_px: float,
    height_px: float,
    focal_px: Optional[float] = None,
    depth_px: Optional[npt.ArrayLike] = None,
) -> tuple[Floats, Floats]:
    """Features [..., FEATURES[J]] and view [..., 3, 3] of keypoints [..., J, 3] (x px, y px, confidence 0 to 1).

    J is 17 (COCO's) or 21 (with the feet); the box around the person is that of COCO's 17 either way.

    `focal_px` is the picture's focal length in pixels, one that is assumed where it is None (`poselift.common.camera`); the
    principal point is the picture's centre. `depth_px` [..., J] is how far behind the middle of the hips a detector believes
    each keypoint, on the scale of x and y; NaN, or no array, where it does not tell. The rows of a view are the axes of the
    virtual camera in the real one's axes.

    A keypoint of confidence 0, or with anything not finite, is missing: its features are 0 and it takes no part in the box.
    Where all are missing, the box is that of the finite ones (a person who is held where they were seen last); where
    none is finite, the view is straight ahead. What goes out is always finite.
    """
    focal_px = focal_length_px(focal_px, width_px, height_px)
    points = np.asarray(keypoints, np.float32)
    finite: Bools = np.asarray(np.isfinite(points).all(-1, keepdims=True))
    points = np.where(finite, points, np.float32(0))
    seen = finite & (points[..., 2:] > 0)
    of_body, body_finite = (which[..., : len(COCO_KEYPOINTS), :] for which in (seen, finite))
    boxed: Bools = np.where(of_body.any(-2, keepdims=True), of_body, body_finite)[..., 0]

    rays = np.ones_like(points)
    centre_px = np.array([width_px / 2, height_px / 2], np.float32)
    rays[..., :2] = np.clip((points[..., :2] - centre_px) / np.float32(focal_px), -MAX_TANGENT, MAX_TANGENT)
    view = _look_at_box(rays[..., : boxed.shape[-1], :], boxed)
    turned = rays @ np.swapaxes(view, -1, -2)
    plane = turned[..., :2] / np.maximum(turned[..., 2:], MIN_DEPTH)
    in_box = np.where(boxed[..., None], np.abs(plane[..., : boxed.shape[-1], :]), 0)
    size = np.maximum(in_box.max((-1, -2)), np.float32(MIN_SIZE))[..., None]
    plane = np.where(seen, plane / size[..., None], np.float32(0))

    confidence = np.where(seen, np.minimum(points[..., 2:], 1), np.float32(0))
    starts, ends = _ENDS[points.shape[-2]]
    boned = (seen[..., starts, :] & seen[..., ends, :])[..., 0]
    across = plane[..., starts, :] - plane[..., ends, :]
    bones = np.where(boned, np.hypot(across[..., 0], across[..., 1]), np.float32(0))
    columns = np.concatenate([plane, confidence], -1).reshape(*plane.shape[:-2], 3 * plane.shape[-2])
    depths = np.zeros((*plane.shape[:-2], DEPTHS[points.shape[-2]]), np.float32)
    if depth_px is not None and depths.shape[-1]:
        told = np.asarray(depth_px, np.float32) / (np.float32(focal_px) * size)
        depths = np.where(seen[..., 0] & np.isfinite(told), np.clip(told, -MAX_DEPTH, MAX_DEPTH), depths)
    return np.concatenate([columns, view[..., 2, :], SIZE_UNIT * size, bones, depths], -1, dtype=np.float32), view


def to_camera(pose: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """The pose [..., J, 3] in the virtual camera's axes, turned into the real camera's, by the `view` [..., 3, 3] that `observe` gave."""
    return np.asarray(np.matmul(pose, view), np.float32)


def sigma_to_camera(sigma: npt.ArrayLike, view: npt.ArrayLike) -> Floats:
    """Standard deviations [..., J, 3] along the virtual camera's axes, as those along the real camera's, by the same `view`.

    The three axes are taken as independent: variances add up with the squares of the rotation's entries. In truth a joint's
    errors along them may go together, which three numbers cannot say.
    """
    return np.asarray(np.sqrt(np.matmul(np.square(sigma), np.square(view))), np.float32)


def to_virtual(pose: npt.ArrayLike, view: Floats) -> Floats:
    """The pose [..., J, 3] in the real camera's axes, turned into the virtual camera's: the inverse of `to_camera`."""
    return np.asarray(np.matmul(pose, np.swapaxes(view, -1, -2)), np.float32)


def body_scale_m(body_height_m: float) -> float:
    """The network's unit in metres, for a person of that standing height: the length of thigh, shank and trunk together."""
    return BODY_SCALE_OF_HEIGHT * body_height_m


def _look_at_box(rays: Floats, boxed: npt.NDArray[np.bool_]) -> Floats:
    """View [..., 3, 3] whose z axis goes through the middle of the rays' yaws and pitches."""
    x, y = rays[..., 0], rays[..., 1]
    yaw, pitch = _middle(np.arctan(x), boxed), _middle(np.arctan2(y, np.sqrt(1 + x * x)), boxed)
    sin_yaw, cos_yaw, sin_pitch, cos_pitch = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
    view = np.zeros((*rays.shape[:-2], 3, 3), np.float32)
    view[..., 0, 0], view[..., 0, 2] = cos_yaw, -sin_yaw
    view[..., 1, 0], view[..., 1, 1], view[..., 1, 2] = -sin_pitch * sin_yaw, cos_pitch, -sin_pitch * cos_yaw
    view[..., 2, 0], view[..., 2, 1], view[..., 2, 2] = cos_pitch * sin_yaw, sin_pitch, cos_pitch * cos_yaw
    return view


def _middle(angles: Floats, boxed: npt.NDArray[np.bool_]) -> Floats:
    """Between the least and the greatest of the boxed angles [..., 17]; 0 where there is none."""
    beyond = np.float32(np.pi)
    middle = (np.where(boxed, angles, beyond).min(-1) + np.where(boxed, angles, -beyond).max(-1)) / 2
    return np.asarray(middle, np.float32)
