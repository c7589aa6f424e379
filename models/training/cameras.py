"""Random cameras that look at a person: where they stand, how they are turned, how long their lens is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Doubles, Floats

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
    principal: Floats
    """[N, 2]: where the camera's z axis crosses the picture, from its middle; in longer sides. Not 0 in a picture that was cut out."""


def random_cameras(rng: np.random.Generator, joints_m: Floats) -> Cameras:
    """One camera for each sequence of joints [N, L, J, 3] (metres, z up), all of it in front of the camera.

    Most are as people set up cameras; the others tilt, roll, come near, have wide or long lenses, or their pictures were cut out.
    """
    count, length = joints_m.shape[:2]

    def mostly(share: float, usual: npt.ArrayLike, unusual: npt.ArrayLike) -> Doubles:
        return np.where(rng.random(count) < share, usual, unusual)

    elevation = mostly(0.65, rng.uniform(-10, 35, count), rng.uniform(-30, 60, count))
    roll = mostly(0.6, np.clip(rng.normal(0, 6, count), -15, 15), rng.uniform(-45, 45, count))
    rotation = camera_rotation(rng.uniform(0, 2 * np.pi, count), np.radians(elevation), np.radians(roll))
    focal = np.exp(mostly(0.75, rng.uniform(np.log(0.75), np.log(1.8), count), rng.uniform(np.log(0.5), np.log(2.6), count)))
    middle = joints_m[:, length // 2, 0]
    reach = np.sqrt(np.square(joints_m - middle[:, None, None]).sum(-1)).max((1, 2))
    distance = mostly(0.55, rng.uniform(2, 8, count), np.exp(rng.uniform(np.log(1.2), np.log(20), count)))
    distance = np.maximum(distance, reach + mostly(0.8, 0.8, 0.4))
    picture = PICTURES[rng.integers(len(PICTURES), size=count)]
    offset = rng.uniform(-1, 1, (count, 2)) * (0.35, 0.2) * picture / focal[:, None]
    person = distance[:, None] * np.concatenate([offset, np.ones((count, 1))], -1)
    translation_m = person - np.einsum("nij,nj->ni", rotation, middle)
    principal = mostly(0.9, 0, rng.normal(0, 0.15, (2, count))).T
    return Cameras(rotation, *(value.astype(np.float32) for value in (translation_m, focal, principal)))


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


def in_picture(points_m: Floats, cameras: Cameras) -> Floats:
    """Points [N, L, J, 3] in each camera's axes in its picture, from the picture's middle, in longer sides: [N, L, J, 2]."""
    return np.asarray(project(points_m) * cameras.focal[:, None, None, None] + cameras.principal[:, None, None], np.float32)
