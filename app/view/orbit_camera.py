"""The virtual camera of the 3D scene. It looks at a target, which it orbits.

Positions are in the real camera's axes (x right, y down, z forward), metres. At azimuth 0 and elevation 0 both cameras look the same way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.app.view.layout import Rect

Points = npt.NDArray[np.float64]

FIELD_OF_VIEW_RAD = np.radians(34.0)
"""Of the panel's shorter side, at most."""
NEAREST_M, FURTHEST_M = 0.6, 40.0
"""Limits of the distance from the target."""
NEAR_M, FAR_M = 0.05, 80.0
"""The clip planes: only what lies between them is drawn."""
EASE_S = 0.16
"""Time constant with which the camera moves to a new view."""

_LOWEST_RAD, _HIGHEST_RAD = np.radians(-8.0), np.radians(89.9)


class OrbitCamera(NamedTuple):
    """Where the camera is, and which way it looks."""

    target: tuple[float, float, float]
    """The point in the middle of the panel, metres."""
    azimuth_rad: float
    """0: it looks the way the real camera does; a quarter turn: from the real camera's left to its right."""
    elevation_rad: float
    distance_m: float


PRESETS = {"front": (0.0, 9.0), "side": (90.0, 9.0), "top": (0.0, 89.9), "follow": (-32.0, 14.0)}
"""Azimuth and elevation of each view, degrees."""


def preset(name: str, target: tuple[float, float, float], radius_m: float) -> OrbitCamera:
    """The camera of a preset view, so far away that it sees everything within `radius_m` of the target."""
    azimuth, elevation = np.radians(PRESETS[name])
    return OrbitCamera(
        target, float(azimuth), float(elevation), float(np.clip(radius_m / np.tan(FIELD_OF_VIEW_RAD / 2), NEAREST_M, FURTHEST_M))
    )


def axes(camera: OrbitCamera) -> Points:
    """float [3, 3]: unit vectors to the right, down and forward, as the camera sees them."""
    sine, cosine = np.sin(camera.azimuth_rad), np.cos(camera.azimuth_rad)
    forward = np.array([sine * np.cos(camera.elevation_rad), np.sin(camera.elevation_rad), cosine * np.cos(camera.elevation_rad)])
    right = np.array([cosine, 0.0, -sine])
    return np.stack([right, np.cross(forward, right), forward])


def position(camera: OrbitCamera) -> Points:
    """Where the camera itself is, float [3], metres."""
    return np.asarray(np.array(camera.target) - camera.distance_m * axes(camera)[2])


def focal_px(panel: Rect) -> float:
    """The focal length with which the scene fills its panel, px."""
    return float(min(panel.height, 1.1 * panel.width) / 2 / np.tan(FIELD_OF_VIEW_RAD / 2))


def project(camera: OrbitCamera, panel: Rect, points: npt.NDArray[Any]) -> Points:
    """Points (float [..., 3], metres) as x px and y px in the window and depth, metres (negative behind the camera)."""
    seen = (points - position(camera)) @ axes(camera).T
    depth = np.where(np.abs(seen[..., 2]) < 1e-6, 1e-6, seen[..., 2])
    scale = focal_px(panel) / depth
    x = panel.left + panel.width / 2 + scale * seen[..., 0]
    y = panel.top + panel.height / 2 + scale * seen[..., 1]
    return np.stack([x, y, seen[..., 2]], -1)


def orbited(camera: OrbitCamera, right_rad: float, up_rad: float) -> OrbitCamera:
    """The camera moved around its target, to its right and up."""
    elevation = float(np.clip(camera.elevation_rad + up_rad, _LOWEST_RAD, _HIGHEST_RAD))
    return camera._replace(azimuth_rad=camera.azimuth_rad + right_rad, elevation_rad=elevation)


def zoomed(camera: OrbitCamera, factor: float) -> OrbitCamera:
    """The camera nearer to its target (a factor below 1) or further away."""
    return camera._replace(distance_m=float(np.clip(camera.distance_m * factor, NEAREST_M, FURTHEST_M)))


def panned(camera: OrbitCamera, panel: Rect, right_px: float, down_px: float) -> OrbitCamera:
    """The camera and its target moved sideways, so that the scene moves so many pixels in the panel."""
    right, down, _ = axes(camera)
    shift = (right * right_px + down * down_px) * camera.distance_m / focal_px(panel)
    x, y, z = np.array(camera.target) - shift
    return camera._replace(target=(float(x), float(y), float(z)))


def eased(camera: OrbitCamera, goal: OrbitCamera, seconds: float) -> OrbitCamera:
    """The camera on its way to `goal`, after so many seconds, by the shorter way around."""
    part = 1 - float(np.exp(-seconds / EASE_S))
    turn = (goal.azimuth_rad - camera.azimuth_rad + np.pi) % (2 * np.pi) - np.pi
    x, y, z = np.array(camera.target) + part * (np.array(goal.target) - np.array(camera.target))
    return OrbitCamera(
        (float(x), float(y), float(z)),
        float(camera.azimuth_rad + part * turn),
        camera.elevation_rad + part * (goal.elevation_rad - camera.elevation_rad),
        camera.distance_m * (goal.distance_m / camera.distance_m) ** part,
    )


def settled(camera: OrbitCamera, goal: OrbitCamera) -> bool:
    """Whether the camera is so near to `goal` that no movement is visible any more."""
    turn = (goal.azimuth_rad - camera.azimuth_rad + np.pi) % (2 * np.pi) - np.pi
    moved = np.abs(np.array(goal.target) - np.array(camera.target)).max() + abs(goal.distance_m - camera.distance_m)
    return bool(abs(turn) + abs(goal.elevation_rad - camera.elevation_rad) < 1e-3 and moved < 2e-3)
