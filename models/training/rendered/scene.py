"""A room, a camera in it, and pictures of a dressed body."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.bodies import unit
from poselift.models.training.rendered.looks import Dressed, Look, paint, shade, vertex_normals
from poselift.models.training.rendered.raster import rasterise

Bytes = npt.NDArray[np.uint8]

FINER = 2
"""Samples per pixel and axis on the person."""
TEXTURE_PX = 512
METRES_PER_TEXTURE = 4.0


class Camera(NamedTuple):
    """A pinhole camera that stands still; its principal point is the picture's centre."""

    rotation: Floats
    """[3, 3]: rows are its axes (x right, y down, z forward) in the world's"""
    place_m: Floats
    """[3]: where it stands in the world"""
    focal_px: float
    width_px: int
    height_px: int

    def axes_of(self, points_m: Floats) -> Floats:
        """World points [..., 3] in the camera's axes."""
        return np.asarray((points_m - self.place_m) @ self.rotation.T, np.float32)

    def pixels_of(self, points_m: Floats) -> Floats:
        """World points [..., 3] in the picture, [..., 2] px."""
        seen = self.axes_of(points_m)
        return np.asarray(seen[..., :2] / seen[..., 2:] * self.focal_px + (self.width_px / 2, self.height_px / 2), np.float32)


class Drawn(NamedTuple):
    """A person by themselves, in a part of the picture."""

    left: int
    top: int
    colours: Floats
    """[height, width, 3]: RGB, 0 to 1, times the cover"""
    cover: Floats
    """[height, width]: 0 to 1"""
    depth_m: Floats
    """[height, width]: how far away the nearest of them is; infinity where they are not"""


def drawn(camera: Camera, light: Floats, dressed: Dressed, look: Look, vertices_m: Floats) -> Drawn:
    """The body with these vertices, lit by a lamp in direction `light` (towards it)."""
    points_px = camera.pixels_of(vertices_m)
    size = (camera.width_px, camera.height_px)
    low = np.clip(np.floor(points_px.min(0)) - 1, 0, np.array(size) - 1).astype(int)
    width, height = np.clip(np.ceil(points_px.max(0)) + 1, low + 1, size).astype(int) - low
    triangles = dressed.body.triangles
    depth_m = camera.axes_of(vertices_m)[:, 2]
    seen = rasterise((points_px - low) * FINER, depth_m, triangles, FINER * width, FINER * height)
    corners, shares = triangles[seen.triangle], seen.shares[..., None]
    rest_m = (dressed.rest_m[corners] * shares).sum(1)
    normals = unit((vertex_normals(vertices_m, triangles)[corners] * shares).sum(1))
    material = dressed.material[seen.triangle]
    fine = np.zeros((FINER * height * FINER * width, 4), np.float32)
    fine[seen.pixel, :3] = np.clip(shade(paint(look, dressed, material, rest_m), normals, rest_m, material, light), 0, 1)
    fine[seen.pixel, 3] = 1
    coarse = fine.reshape(height, FINER, width, FINER, 4).mean((1, 3), np.float32)
    deep = np.full(FINER * height * FINER * width, np.inf, np.float32)
    deep[seen.pixel] = (depth_m[corners] * seen.shares).sum(1)
    nearest = deep.reshape(height, FINER, width, FINER).min((1, 3))
    return Drawn(int(low[0]), int(low[1]), coarse[..., :3], coarse[..., 3], nearest)


class Room:
    """Floor and walls, as one camera sees them, and a lamp."""

    def __init__(self, camera: Camera, rng: np.random.Generator) -> None:
        self.camera = camera
        self.light = unit(np.array([*rng.normal(0, 0.6, 2), 1.2]) - 0.7 * camera.rotation[2])
        self._rng = rng
        self.empty = self._picture()
        """[height, width, 3]: without anybody, RGB, 0 to 1"""

    def picture(self, dressed: Dressed, look: Look, vertices_m: Floats) -> Bytes:
        """The body with these vertices in the room, uint8 [height, width, 3], BGR; with the camera's noise."""
        canvas = self.empty * (1 - 0.45 * self._shadow(vertices_m))[..., None]
        person = drawn(self.camera, self.light, dressed, look, vertices_m)
        height, width = person.cover.shape
        part = canvas[person.top : person.top + height, person.left : person.left + width]
        part[...] = person.colours + (1 - person.cover)[..., None] * part
        noisy = 255 * canvas + 2.2 * self._rng.standard_normal(canvas.shape, np.float32)
        return np.asarray(np.clip(noisy, 0, 255)[..., ::-1], np.uint8)

    def _shadow(self, vertices_m: Floats) -> Floats:
        """How much of the lamp is kept off each pixel, 0 to 1, softly."""
        down = vertices_m - vertices_m[:, 2:] / self.light[2] * self.light
        mask = np.zeros((self.camera.height_px, self.camera.width_px), np.float32)
        column, row = np.floor(self.camera.pixels_of(down)).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
        mask[row[inside], column[inside]] = 1
        mask = cv2.dilate(mask, np.ones((5, 7), np.uint8))
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)

    def _picture(self) -> Floats:
        """The room without anybody, [height, width, 3], RGB, 0 to 1."""
        camera, rng = self.camera, self._rng
        column, row = np.meshgrid(np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5)
        rays = np.stack([column - camera.width_px / 2, row - camera.height_px / 2, np.full_like(column, camera.focal_px)], -1)
        rays = unit(rays @ camera.rotation)
        half_m, ceiling_m = np.maximum(rng.uniform(3.5, 6, 2), np.abs(camera.place_m[:2]) + 1), rng.uniform(3.2, 6)
        ceiling_m = max(ceiling_m, camera.place_m[2] + 0.5)
        low, high = np.array([*-half_m, 0]), np.array([*half_m, ceiling_m])
        reach = np.where(rays > 0, high - camera.place_m, low - camera.place_m) / np.where(np.abs(rays) < 1e-6, 1e-6, rays)
        axis = reach.argmin(-1)
        hit = camera.place_m + rays * reach.min(-1)[..., None]
        floor = (axis == 2) & (rays[..., 2] < 0)
        on_wall = np.where(axis == 0, hit[..., 1], hit[..., 0])
        walls = _sample(_wall(rng), on_wall, -hit[..., 2])
        picture = np.where(floor[..., None], _sample(_floor(rng), hit[..., 0], hit[..., 1]), walls)
        picture = np.where((~floor & (hit[..., 2] < 0.1))[..., None], picture * 0.6, picture)  # a skirting board
        picture = np.where(((axis == 2) & ~floor)[..., None], np.float32(0.8), picture)
        corner = np.exp(-np.abs(hit[..., 2]) / 0.4) * 0.15 * ~floor
        return np.asarray(cv2.GaussianBlur(picture * (1 - corner)[..., None], (0, 0), 0.8), np.float32)


def _sample(texture: Floats, x_m: npt.NDArray[Any], y_m: npt.NDArray[Any]) -> Floats:
    """A texture at places on its plane, repeated."""
    x, y = ((place / METRES_PER_TEXTURE % 1 * TEXTURE_PX).astype(np.float32) for place in (x_m, y_m))
    return np.asarray(cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _cloudy(rng: np.random.Generator, strength: float) -> Floats:
    """Noise about 1 of several sizes, [TEXTURE_PX, TEXTURE_PX, 1]."""
    whole = np.zeros((TEXTURE_PX, TEXTURE_PX), np.float32)
    for cells in (4, 16, 64, 256):
        grid = np.pad(rng.normal(size=(cells, cells)).astype(np.float32), (0, 1), mode="wrap")
        whole += cv2.resize(grid, (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_LINEAR) / np.sqrt(cells)
    return 1 + strength * whole[..., None]


def _floor(rng: np.random.Generator) -> Floats:
    """Boards or tiles."""
    colour = rng.uniform(0.25, 0.65) * np.array([1, rng.uniform(0.8, 1), rng.uniform(0.6, 1)])
    step = TEXTURE_PX // int(rng.choice([8, 16]))
    plank = np.arange(TEXTURE_PX) // step
    tint = 1 + 0.1 * rng.normal(size=TEXTURE_PX)[plank][:, None, None]
    seam = np.where(np.arange(TEXTURE_PX) % step < 2, 0.7, 1)[:, None, None]
    texture = colour * tint * seam * _cloudy(rng, 0.08)
    if rng.random() < 0.5:
        texture = texture * np.where(np.arange(TEXTURE_PX) % (4 * step) < 2, 0.7, 1)[None, :, None]
    return np.asarray(np.clip(texture, 0, 1), np.float32)


def _wall(rng: np.random.Generator) -> Floats:
    """Paint with pictures, doors and shelves on it."""
    colour = rng.uniform(0.5, 0.9) * rng.uniform(0.82, 1, 3)
    texture = np.asarray(colour * _cloudy(rng, 0.05), np.float32)
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.integers(0, TEXTURE_PX - 60, 2)
        width, height = rng.integers(30, 160, 2)
        frame, inner = rng.uniform(0.05, 0.9, 3), rng.uniform(0.1, 0.9, 3)
        texture[y : y + height, x : x + width] = frame
        texture[y + 4 : y + height - 4, x + 4 : x + width - 4] = inner
        texture[y + 4 : y + height // 2, x + 4 : x + width - 4] *= rng.uniform(0.6, 1)
    return np.asarray(np.clip(texture, 0, 1), np.float32)
