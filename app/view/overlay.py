"""The 2D keypoints over the picture, as flat lines and dots."""

from __future__ import annotations

from typing import NamedTuple, Union

import numpy as np

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.view.camera import Panel
from poselift.app.view.colours import BRIGHT, HELD, colour_of, mixed, sided
from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_BONES, COCO_KEYPOINTS

LEAST_CONFIDENCE = 0.05
_BONES = np.array(COCO_BONES)
_SIDES = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in COCO_KEYPOINTS], np.float32)


class Overlay(NamedTuple):
    """Lines with round ends, bones first, then keypoints as dots."""

    start: Floats
    """float32 [N, 4]: x px, y px in the window, 0, radius px."""
    end: Floats
    colour: Floats
    """float32 [N, 4]."""


def overlay(pose: Union[Pose2D, Pose3D], panel: Panel, unit: float, stale: bool) -> Overlay:
    """Everybody's keypoints, the surer the more solid, where they are in a picture that fills `panel`."""
    starts, ends, tints = [], [], []
    held_by = pose.held.tolist() if isinstance(pose, Pose3D) else [False] * len(pose.person)
    for person, keypoints, held in zip(pose.person.tolist(), pose.keypoints, held_by):
        places = in_panel(keypoints[:, :2], pose.width_px, pose.height_px, panel)
        grey = held or stale
        shown = np.isfinite(keypoints).all(-1) & (held | (keypoints[:, 2] >= LEAST_CONFIDENCE))
        if not shown.any():
            continue
        size = float(np.ptp(places[shown], axis=0).max())
        radius = float(np.clip(size / 210, 0.8 * unit, 2.4 * unit)) * (0.6 if grey else 1.0)
        solid = np.where(shown, 0.25 + 0.75 * np.nan_to_num(keypoints[:, 2]).clip(0, 1), 0.0)
        solid = np.where(shown, 0.8, 0.0) if held else solid
        colour = sided(HELD if grey else colour_of(person), _SIDES)
        first, last = _BONES[shown[_BONES].all(1)].T
        bone = np.minimum(solid[first], solid[last])[:, None]
        starts += [_round(places[first], radius), _round(places[shown], 1.75 * radius)]
        ends += [_round(places[last], radius), _round(places[shown], 1.75 * radius)]
        tints += [np.concatenate([colour[last], bone], -1), np.concatenate([mixed(colour, BRIGHT, 0.35), solid[:, None]], -1)[shown]]
    if not starts:
        return Overlay(*(np.zeros((0, 4), np.float32) for _ in range(3)))
    return Overlay(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints).astype(np.float32))


def in_panel(points: Floats, width_px: int, height_px: int, panel: Panel) -> Floats:
    """Points (float [..., 2], px of the camera's picture) in a panel that shows it. What is in the middle of a pixel is at half there."""
    scale = np.array([panel.width / width_px, panel.height / height_px])
    return np.asarray((points + 0.5) * scale + (panel.left, panel.top), np.float32)


def _round(places: Floats, radius_px: float) -> Floats:
    flat = np.broadcast_to(np.array([0.0, radius_px], np.float32), (len(places), 2))
    return np.concatenate([np.nan_to_num(places), flat], -1).astype(np.float32)
