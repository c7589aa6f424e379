"""Random cameras that look at a person: where they stand, how they are turned, how long their lens is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats

PICTURES = np.array([(1, 9 / 16), (1, 3 / 4), (9 / 16, 1)])
"""Width and height of the usual pictures, in their longer side."""


class Cameras(NamedTuple):
    """N pinhole cameras that do not move."""

    rotation: Floats
    """[N, 3, 3]: rows are the camera's axes (x right, y down, z forward) in the world's"""
    translation_m: Floats
    """[N, 3]: the world's origin in the camera's axes"""
    focal: Floats
    """[N]: focal length in the picture's longer sides"""


def random_cameras(rng: np.random.Generator, joints_m: Floats) -> Cameras:
    """One camera for each sequence of joints [N, L, 17, 3] (metres, z up), all of it in front of the camera."""
    count, length = joints_m.shape[:2]
    elevation, roll = np.radians(rng.uniform(-10, 35, count)), np.radians(np.clip(rng.normal(0, 6, count), -15, 15))
    rotation = camera_rotation(rng.uniform(0, 2 * np.pi, count), elevation, roll)
    focal = np.exp(rng.uniform(np.log(0.75), np.log(1.8), count))
    middle = joints_m[:, length // 2, 0]
    reach = np.sqrt(np.square(joints_m - middle[:, None, None]).sum(-1)).max((1, 2))
    near, far = rng.uniform(2, 8, count), np.exp(rng.uniform(np.log(4), np.log(20), count))
    distance = np.maximum(np.where(rng.random(count) < 0.6, near, far), reach + 0.8)
    picture = PICTURES[rng.integers(len(PICTURES), size=count)]
    offset = rng.uniform(-1, 1, (count, 2)) * (0.35, 0.2) * picture / focal[:, None]
    person = distance[:, None] * np.concatenate([offset, np.ones((count, 1))], -1)
    translation_m = person - np.einsum("nij,nj->ni", rotation, middle)
    return Cameras(rotation, translation_m.astype(np.float32), focal.astype(np.float32))


def camera_rotation(azimuth: npt.ArrayLike, elevation: npt.ArrayLike, roll: npt.ArrayLike) -> Floats:
    """Axes [N, 3, 3] in rows of cameras that look along an azimuth, from above by an elevation, rolled about their z axis; radians."""
    sa, ca, se, ce, sr, cr = (f(np.asarray(angle)) for angle in (azimuth, elevation, roll) for f in (np.sin, np.cos))
    forward = np.stack([-sa * ce, ca * ce, -se], -1)
    right = np.stack([ca, sa, 0 * ca], -1)
    down = np.cross(forward, right)
    rolled = [cr[..., None] * right + sr[..., None] * down, cr[..., None] * down - sr[..., None] * right, forward]
    return np.stack(rolled, -2).astype(np.float32)


def to_camera_axes(points_m: Floats, cameras: Cameras) -> Floats:
    """World points [N, L, J, 3] in each camera's axes, metres."""
    turned = np.matmul(points_m, np.swapaxes(cameras.rotation, -1, -2)[:, None])
    return np.asarray(turned + cameras.translation_m[:, None, None], np.float32)


def project(points_m: Floats) -> Floats:
    """Points [..., 3] in a camera's axes on its picture plane at distance 1, from its principal point: [..., 2]."""
    return points_m[..., :2] / points_m[..., 2:]
