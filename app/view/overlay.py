"""The 2D keypoints over the picture, as lines and dots."""

from __future__ import annotations

from typing import NamedTuple, Union

import numpy as np

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.export.drawing import is_drawn
from poselift.app.view.colours import BRIGHT, HELD, blend, colour_of, side_tint
from poselift.app.view.layout import Rect
from poselift.common.arrays import Floats
from poselift.common.skeleton import KEYPOINT_BONES, KEYPOINTS

_BONES = np.array(KEYPOINT_BONES)
_SIDES = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in KEYPOINTS], np.float32)


class Overlay(NamedTuple):
    """Lines with round ends: of each person the bones, then the keypoints as dots."""

    start: Floats
    """float32 [N, 4]: x px, y px in the window, 0, radius px."""
    end: Floats
    colour: Floats
    """float32 [N, 4]: RGB and alpha."""


def overlay(pose: Union[Pose2D, Pose3D], panel: Rect, unit: float, stale: bool) -> Overlay:
    """Everybody's keypoints, on a picture that fills `panel`; the more certain, the more opaque."""
    starts, ends, tints = [], [], []
    held_by = pose.held.tolist() if isinstance(pose, Pose3D) else [False] * len(pose.person)
    for person, keypoints, held in zip(pose.person.tolist(), pose.keypoints, held_by):
        points = in_panel(keypoints[:, :2], pose.width_px, pose.height_px, panel)
        grey = held or stale
        shown = is_drawn(keypoints, held)
        if not shown.any():
            continue
        size = float(np.ptp(points[shown], axis=0).max())
        radius = float(np.clip(size / 210, 0.8 * unit, 2.4 * unit)) * (0.6 if grey else 1.0)
        alpha = np.where(shown, 0.25 + 0.75 * np.nan_to_num(keypoints[:, 2]).clip(0, 1), 0.0)
        alpha = np.where(shown, 0.8, 0.0) if held else alpha
        colour = side_tint(HELD if grey else colour_of(person), _SIDES)
        first, last = _BONES[shown[_BONES].all(1)].T
        bone_alpha = np.minimum(alpha[first], alpha[last])[:, None]
        starts += [_with_radius(points[first], radius), _with_radius(points[shown], 1.75 * radius)]
        ends += [_with_radius(points[last], radius), _with_radius(points[shown], 1.75 * radius)]
        tints += [np.concatenate([colour[last], bone_alpha], -1), np.concatenate([blend(colour, BRIGHT, 0.35), alpha[:, None]], -1)[shown]]
    if not starts:
        return Overlay(*(np.zeros((0, 4), np.float32) for _ in range(3)))
    return Overlay(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints).astype(np.float32))


def in_panel(points: Floats, width_px: int, height_px: int, panel: Rect) -> Floats:
    """Points (float [..., 2], px of the camera's picture) in a panel that shows the picture.

    Integer coordinates are the middle of a pixel in the picture, and its corner in the window.
    """
    scale = np.array([panel.width / width_px, panel.height / height_px])
    return np.asarray((points + 0.5) * scale + (panel.left, panel.top), np.float32)


def _with_radius(points: Floats, radius_px: float) -> Floats:
    depth_and_radius = np.broadcast_to(np.array([0.0, radius_px], np.float32), (len(points), 2))
    return np.concatenate([np.nan_to_num(points), depth_and_radius], -1).astype(np.float32)
