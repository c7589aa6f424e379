"""The eye that looks at the 3D scene: it circles a point, and is moved with the mouse or to one of the presets.

Places are in the board camera's axes (x right, y down, z forward), metres. At azimuth 0 and elevation 0 the eye looks as that camera does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

FIELD_OF_VIEW_RAD = np.radians(34.0)
"""Of the shorter side of the panel, at most."""
NEAREST_M, FURTHEST_M = 0.6, 40.0
NEAR_M, FAR_M = 0.05, 80.0
"""What is nearer or further is not drawn."""
SETTLES_S = 0.16
"""A change of the view has gone 63 % of its way after this time."""

_LOWEST_RAD, _HIGHEST_RAD = np.radians(-8.0), np.radians(89.9)


class Eye(NamedTuple):
    """Where the eye is."""

    target: tuple[float, float, float]
    """The point in the middle of the panel, metres."""
    azimuth_rad: float
    """0: from where the board's camera looks; a quarter turn: from that camera's left, looking to its right."""
    elevation_rad: float
    distance_m: float


class Panel(NamedTuple):
    """Part of the window, px, from its top left corner."""

    left: float
    top: float
    width: float
    height: float

    def holds(self, x_px: float, y_px: float) -> bool:
        """Whether a point of the window lies in it."""
        return self.left <= x_px < self.left + self.width and self.top <= y_px < self.top + self.height


PRESETS = {"front": (0.0, 9.0), "side": (90.0, 9.0), "top": (0.0, 89.9), "follow": (-32.0, 14.0)}
"""Azimuth and elevation, degrees."""


def preset(name: str, target: tuple[float, float, float], reach_m: float) -> Eye:
    """The eye of a preset, which sees what lies within `reach_m` of the target."""
    azimuth, elevation = np.radians(PRESETS[name])
    return Eye(target, float(azimuth), float(elevation), float(np.clip(reach_m / np.tan(FIELD_OF_VIEW_RAD / 2), NEAREST_M, FURTHEST_M)))


def axes(eye: Eye) -> Points:
    """float [3, 3]: the directions to the right, downwards and forwards as the eye sees them."""
    sine, cosine = np.sin(eye.azimuth_rad), np.cos(eye.azimuth_rad)
    forward = np.array([sine * np.cos(eye.elevation_rad), np.sin(eye.elevation_rad), cosine * np.cos(eye.elevation_rad)])
    right = np.array([cosine, 0.0, -sine])
    return np.stack([right, np.cross(forward, right), forward])


def position(eye: Eye) -> Points:
    """Where the eye itself is, metres."""
    place: Points = np.array(eye.target) - eye.distance_m * axes(eye)[2]
    return place


def focal_px(panel: Panel) -> float:
    """The eye's focal length, px."""
    return float(min(panel.height, 1.1 * panel.width) / 2 / np.tan(FIELD_OF_VIEW_RAD / 2))


def project(eye: Eye, panel: Panel, points: npt.NDArray[Any]) -> Points:
    """Points (float [..., 3], metres) as x px, y px in the window and distance along the view, metres (negative: behind the eye)."""
    seen = (points - position(eye)) @ axes(eye).T
    depth = np.where(np.abs(seen[..., 2]) < 1e-6, 1e-6, seen[..., 2])
    scale = focal_px(panel) / depth
    x = panel.left + panel.width / 2 + scale * seen[..., 0]
    y = panel.top + panel.height / 2 + scale * seen[..., 1]
    return np.stack([x, y, seen[..., 2]], -1)


def orbited(eye: Eye, right_rad: float, up_rad: float) -> Eye:
    """The eye moved around its target."""
    elevation = float(np.clip(eye.elevation_rad + up_rad, _LOWEST_RAD, _HIGHEST_RAD))
    return eye._replace(azimuth_rad=eye.azimuth_rad + right_rad, elevation_rad=elevation)


def zoomed(eye: Eye, factor: float) -> Eye:
    """The eye nearer to its target (a factor below 1) or further away."""
    return eye._replace(distance_m=float(np.clip(eye.distance_m * factor, NEAREST_M, FURTHEST_M)))


def panned(eye: Eye, panel: Panel, right_px: float, down_px: float) -> Eye:
    """The eye moved sideways, so that the scene goes that far in the panel."""
    right, down, _ = axes(eye)
    shift = (right * right_px + down * down_px) * eye.distance_m / focal_px(panel)
    x, y, z = np.array(eye.target) - shift
    return eye._replace(target=(float(x), float(y), float(z)))


def towards(eye: Eye, goal: Eye, seconds: float) -> Eye:
    """The eye on its way to `goal`, after so many seconds, by the shorter way around."""
    share = 1 - float(np.exp(-seconds / SETTLES_S))
    turn = (goal.azimuth_rad - eye.azimuth_rad + np.pi) % (2 * np.pi) - np.pi
    x, y, z = np.array(eye.target) + share * (np.array(goal.target) - np.array(eye.target))
    return Eye(
        (float(x), float(y), float(z)),
        float(eye.azimuth_rad + share * turn),
        eye.elevation_rad + share * (goal.elevation_rad - eye.elevation_rad),
        eye.distance_m * (goal.distance_m / eye.distance_m) ** share,
    )


def arrived(eye: Eye, goal: Eye) -> bool:
    """Whether nothing more would be seen to move."""
    turn = (goal.azimuth_rad - eye.azimuth_rad + np.pi) % (2 * np.pi) - np.pi
    moved = np.abs(np.array(goal.target) - np.array(eye.target)).max() + abs(goal.distance_m - eye.distance_m)
    return bool(abs(turn) + abs(goal.elevation_rad - eye.elevation_rad) < 1e-3 and moved < 2e-3)
