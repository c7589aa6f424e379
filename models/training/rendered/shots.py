"""Cameras for rendered clips: near and far, from below and above, rolled, with wide and long lenses, and with people partly outside."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats
from poselift.models.training.cameras import camera_rotation
from poselift.models.training.rendered.scene import Camera

FORMATS = ((16, 9), (4, 3), (3, 4), (9, 16), (1, 1))
FORMAT_SHARES = (0.45, 0.2, 0.1, 0.2, 0.05)
PERSON_PX = (150, 380)
"""How large the person shall be: BlazePose sees them at 256 px or less."""
LONG_SIDE_PX = (320, 960)
NEAREST_M = 0.35
"""No point of the body comes nearer."""
SMALLEST, LARGEST = 0.2, 1.5
"""How large the person is, in the picture's longer sides at least (BlazePose's detector looks at all of it at 224 px), in its shorter sides
at most."""
OUTSIDE = 0.3
"""More of the keypoints are never outside, over the clip."""


def random_camera(rng: np.random.Generator, points_m: Floats) -> Camera:
    """A camera that stands still and has most of the points [T, N, 3] (a person over time; metres, z up) in its picture."""
    middle = np.median(points_m.reshape(len(points_m), -1, 3).mean(1), 0)
    size_m = float(np.median(np.linalg.norm(np.ptp(points_m, 1), axis=-1)))
    while True:
        camera = _any(rng, middle, size_m)
        if camera is None or camera.axes_of(points_m)[..., 2].min() < NEAREST_M:
            continue
        inside = (camera.pixels_of(points_m) >= 0) & (camera.pixels_of(points_m) < (camera.width_px, camera.height_px))
        if 1 - inside.all(-1).mean() <= OUTSIDE * rng.random() ** 2:
            return camera


def _any(rng: np.random.Generator, middle: Floats, size_m: float) -> Camera | None:
    """A camera that looks somewhere near `middle`; None where somebody of that size would be very small or very large."""
    across, high = np.array(FORMATS[rng.choice(len(FORMATS), p=FORMAT_SHARES)], float)
    across, high = across / max(across, high), high / max(across, high)
    usual = rng.random(2) < 0.5
    elevation = rng.normal(8, 12) if usual[0] else rng.uniform(-30, 60)
    roll = rng.normal(0, 4) if usual[1] else rng.uniform(-45, 45)
    rotation = camera_rotation([rng.uniform(0, 2 * np.pi)], np.radians([np.clip(elevation, -30, 60)]), np.radians([roll]))[0]
    focal = np.exp(rng.uniform(np.log(0.5), np.log(2.6)))
    distance_m = np.exp(rng.uniform(np.log(1.2), np.log(12)))
    person = size_m / distance_m * focal
    if not SMALLEST < person < LARGEST * min(across, high):
        return None
    long_px = np.clip(rng.uniform(*PERSON_PX) / person, *LONG_SIDE_PX)
    width_px, height_px = (2 * round(side * long_px / 2) for side in (across, high))
    aside = np.clip(rng.normal(0, 0.17, 2), -0.5, 0.5) * (across, high) / focal
    place_m = middle - distance_m * (rotation.T @ np.array([*aside, 1.0]))
    return Camera(rotation, place_m.astype(np.float32), float(focal * long_px), width_px, height_px)
