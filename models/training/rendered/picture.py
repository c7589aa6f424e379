"""Pictures of a dressed person before many backgrounds, made fast: colours per vertex, OpenCV's rasteriser, one layer over another.

`scene` paints every pixel by itself and looks better; it takes some ten times as long.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.models.training.bodies import unit
from poselift.models.training.rendered.looks import Dressed, Look, paint, shade, vertex_normals
from poselift.models.training.rendered.scene import Camera, Room

FINER = 2
"""Samples per pixel and axis on the person."""
FARTHEST_M = 100.0
"""What is deeper than half of it is nothing: the rasteriser rounds."""
BLUR_TAPS = 5
HIDDEN_M = 0.16
"""A joint that lies so much deeper than what is seen before it is hidden: more than a thigh is thick from its middle outwards."""
OUTSIDE, HIDDEN, VISIBLE = 0, 1, 2
"""How a joint is seen, by COCO's numbers."""


class Actor:
    """A dressed person ready to be drawn. Corners that triangles of different clothes share are there once for each."""

    def __init__(self, dressed: Dressed, look: Look, rng: np.random.Generator) -> None:
        materials = 1 + int(dressed.material.max())
        corners = dressed.body.triangles * materials + dressed.material[:, None]
        kept, triangles = np.unique(corners, return_inverse=True)
        self.dressed = dressed
        self.triangles = triangles.reshape(-1, 1, 3).astype(np.int32)
        self.vertex, self.material = np.divmod(kept, materials)
        self.rest_m = dressed.rest_m[self.vertex]
        self._colour = paint(look, dressed, self.material, self.rest_m) * _patterned(rng, self.rest_m, self.material)

    def lit(self, vertices_m: Floats, light: Floats) -> Floats:
        """Each corner's colour [N, 3], RGB 0 to 1, where the body's vertices are at these places."""
        normals = vertex_normals(vertices_m, self.dressed.body.triangles)[self.vertex]
        return np.asarray(np.clip(shade(self._colour, normals, self.rest_m, self.material, light), 0, 1), np.float32)


class Layer(NamedTuple):
    """The person by themselves in a part of the picture."""

    left: int
    top: int
    colours: Floats
    """[H, W, 4]: blue, green, red, all times the cover; cover; 0 to 1"""
    depth_m: Floats
    """[H * FINER, W * FINER]: of what is nearest, FARTHEST_M where nothing is"""


class Stage:
    """A camera, what is behind and before the person, the light, and what the lens and the sensor do to a picture."""

    def __init__(self, camera: Camera, rng: np.random.Generator) -> None:
        self.camera, self._rng = camera, rng
        size = (camera.height_px, camera.width_px)
        self._room = Room(camera, rng) if camera.place_m[2] > 0.2 and rng.random() < 0.6 else None
        if self._room:
            self.light, empty = self._room.light, 255 * self._room.empty[..., ::-1]
        else:
            self.light = unit(np.array([*rng.normal(0, 0.8, 2), 1.0]) - 0.7 * camera.rotation[2])
            empty = backdrop(rng, *size)
        self._empty = np.clip(empty, 0, 255).astype(np.uint8)
        self._shutter = rng.uniform(0.1, 0.8) if rng.random() < 0.5 else 0.0
        self._before = _occluder(rng, *size) if rng.random() < 0.15 else None
        self._focus_px = rng.uniform(0.3, 1.2) if rng.random() < 0.4 else 0.0
        self._tones = _tones(rng)
        self._quality = int(rng.uniform(35, 96))
        self._noise = (rng.uniform(0.5, 9) * rng.standard_normal((size[0] + 64, size[1] + 64, 3), np.float32)).astype(np.int16)

    def picture(self, actor: Actor, vertices_m: Floats, next_m: Floats) -> tuple[Pixels, Layer]:
        """The person with these vertices [V, 3], who goes on to the next ones [V, 3], and their layer."""
        shift_px = self._shutter * (self.camera.pixels_of(next_m) - self.camera.pixels_of(vertices_m))
        layer = drawn(self.camera, actor, vertices_m, actor.lit(vertices_m, self.light), shift_px)
        canvas = self._empty.copy()
        if self._room:
            _darken(canvas, self.camera, self.light, vertices_m)
        height, width = layer.colours.shape[:2]
        if height and width:
            part = canvas[layer.top : layer.top + height, layer.left : layer.left + width]
            part[...] = np.clip(255 * layer.colours[..., :3] + part * (1 - layer.colours[..., 3:]), 0, 255)
        if self._before:
            mask, look = self._before
            cv2.copyTo(look, mask, canvas)
        return self._taken(canvas), layer

    def _taken(self, canvas: Pixels) -> Pixels:
        """As the camera gives it."""
        canvas = cv2.LUT(canvas, self._tones)
        if self._focus_px:
            canvas = cv2.GaussianBlur(canvas, (0, 0), self._focus_px)
        row, column = self._rng.integers(0, 64, 2)
        noise = self._noise[row : row + canvas.shape[0], column : column + canvas.shape[1]]
        noisy = cv2.add(canvas, noise, dtype=cv2.CV_8U)
        _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)

    def visibility(self, points_m: Floats, layer: Layer) -> npt.NDArray[np.uint8]:
        """[N]: how each of the points [N, 3] is seen, by COCO's numbers."""
        points_px, depth_m = self.camera.pixels_of(points_m), self.camera.axes_of(points_m)[:, 2]
        inside = ((points_px >= 0) & (points_px < (self.camera.width_px, self.camera.height_px))).all(1)
        seen = np.where(inside, VISIBLE, OUTSIDE).astype(np.uint8)
        fine = np.floor((points_px - (layer.left, layer.top)) * FINER).astype(int)
        for number in np.flatnonzero(inside):
            column, row = fine[number]
            nearest = layer.depth_m[row, column] if 0 <= row < layer.depth_m.shape[0] and 0 <= column < layer.depth_m.shape[1] else np.inf
            x, y = points_px[number].astype(int)
            if nearest < depth_m[number] - HIDDEN_M or (self._before and self._before[0][y, x]):
                seen[number] = HIDDEN
        return seen


def drawn(camera: Camera, actor: Actor, vertices_m: Floats, colours: Floats, shift_px: Floats) -> Layer:
    """The person; `colours` [N, 3] (RGB) are the corners', `shift_px` [V, 2] is how far each vertex moves while the shutter is open."""
    farthest_px = float(np.abs(shift_px).max()) if np.abs(shift_px).max() > 1 else 0.0
    points_px, depth_m = camera.pixels_of(vertices_m), camera.axes_of(vertices_m)[:, 2]
    margin = 2 + min(farthest_px, 40)
    size = np.array([camera.width_px, camera.height_px])
    low = np.clip(np.floor(points_px.min(0) - margin), 0, size).astype(int)
    width, height = np.clip(np.ceil(points_px.max(0) + margin), low, size).astype(int) - low
    if not (width and height):
        return Layer(int(low[0]), int(low[1]), np.zeros((0, 0, 4), np.float32), np.zeros((0, 0), np.float32))
    places = _before_gl(points_px - low, depth_m, width, height)[actor.vertex]
    fine, deep = _rasterised(places, actor.triangles, colours[:, ::-1], width, height)
    cover = (deep < FARTHEST_M / 2).astype(np.float32)
    layer = cv2.resize(np.dstack([fine, cover]), (int(width), int(height)), interpolation=cv2.INTER_AREA)
    if farthest_px:
        layer = _moved(layer, _shifts(places, actor, shift_px, farthest_px, width, height), farthest_px)
    return Layer(int(low[0]), int(low[1]), layer, deep)


def _rasterised(places: Floats, triangles: npt.NDArray[np.int32], values: Floats, width: int, height: int) -> tuple[Floats, Floats]:
    """Values (each 0 to 1) and depth of what is nearest, FINER times as many pixels."""
    shape = (int(height) * FINER, int(width) * FINER)
    out, deep = np.zeros((*shape, 3), np.float32), np.full(shape, FARTHEST_M, np.float32)
    values = np.ascontiguousarray(values, np.float32).reshape(-1, 1, 3)
    return cv2.triangleRasterize(places, triangles, values, out, deep, np.eye(4, dtype=np.float32), np.pi / 2, 0.05, FARTHEST_M)


def _before_gl(points_px: Floats, depth_m: Floats, width: int, height: int) -> Floats:
    """Where points [V, 2] of a part of the picture are to a camera of 90 degrees with that part in its middle; OpenGL's axes, [V, 1, 3]."""
    x, y = ((points_px - (width / 2, height / 2)) / (height / 2)).T
    return np.ascontiguousarray(np.stack([x * depth_m, -y * depth_m, -depth_m], -1), np.float32).reshape(-1, 1, 3)


def _shifts(places: Floats, actor: Actor, shift_px: Floats, farthest_px: float, width: int, height: int) -> Floats:
    """How far what is seen at each pixel moves, [H, W, 2] px, spread softly beyond the person's outline."""
    values = np.pad(0.5 + shift_px[actor.vertex] / (2.02 * farthest_px), ((0, 0), (0, 1)), constant_values=1)
    fine, _ = _rasterised(places, actor.triangles, values, width, height)
    small = cv2.resize(fine, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1 + min(farthest_px, 40) / 3)
    return np.asarray((soft[..., :2] / np.maximum(soft[..., 2:], 1e-3) - 0.5) * 2.02 * farthest_px, np.float32)


def _moved(layer: Floats, shift: Floats, farthest_px: float) -> Floats:
    """The layer while it moves by `shift`."""
    row, column = np.indices(layer.shape[:2], np.float32)
    taps = np.linspace(-0.5, 0.5, BLUR_TAPS, dtype=np.float32)
    moments = (cv2.remap(layer, column - at * shift[..., 0], row - at * shift[..., 1], cv2.INTER_LINEAR) for at in taps)
    return np.asarray(sum(moments) / BLUR_TAPS, np.float32)


def _darken(canvas: Pixels, camera: Camera, light: Floats, vertices_m: Floats) -> None:
    """The shadow on the floor, softly."""
    down_px = camera.pixels_of(vertices_m - vertices_m[:, 2:] / light[2] * light) / 4
    mask = np.zeros((canvas.shape[0] // 4 + 1, canvas.shape[1] // 4 + 1), np.float32)
    column, row = np.floor(down_px[camera.axes_of(vertices_m)[:, 2] > 0]).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    if not inside.any():
        return
    mask[row[inside], column[inside]] = 0.45
    soft = cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.2)
    low, high = (
        np.array([np.clip(f(of[inside]) + d, 0, n) for of, n in ((row, mask.shape[0]), (column, mask.shape[1]))])
        for f, d in ((np.min, -5), (np.max, 6))
    )
    part = canvas[4 * low[0] : 4 * high[0], 4 * low[1] : 4 * high[1]]
    shade_of = cv2.resize(soft[low[0] : high[0], low[1] : high[1]], None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    part[...] = part * (1 - shade_of[: part.shape[0], : part.shape[1], None])


def backdrop(rng: np.random.Generator, height: int, width: int) -> Floats:
    """No room: a gradient with shapes, lines and noise on it, out of focus or not; [height, width, 3], 0 to 255."""
    row, column = np.indices((height, width), np.float32)
    along = rng.uniform(0, 2 * np.pi)
    at = np.cos(along) * column / width + np.sin(along) * row / height
    at = ((at - at.min()) / np.ptp(at))[..., None]
    canvas = np.asarray(at * rng.uniform(0, 255, 3) + (1 - at) * rng.uniform(0, 255, 3), np.float32)
    for blurred in (True, False):
        for _ in range(int(rng.integers(0, 25))):
            _shape(rng, canvas)
        if blurred:
            canvas = cv2.GaussianBlur(canvas, (0, 0), np.exp(rng.uniform(0, 3)))
    for _ in range(int(rng.integers(0, 4))):
        cells = int(np.exp(rng.uniform(1, 5)))
        grid = rng.standard_normal((cells, cells, 3 if rng.random() < 0.3 else 1), np.float32)
        canvas += rng.uniform(2, 20) * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, -1)
    return canvas


def _shape(rng: np.random.Generator, canvas: Floats) -> None:
    """A box, an ellipse, a line or a polygon of any colour."""
    height, width = canvas.shape[:2]
    colour = rng.uniform(0, 255, 3).tolist()
    corners = (rng.uniform(-0.1, 1.1, (5, 2)) * (width, height)).astype(int)
    one, other = corners[0].tolist(), corners[1].tolist()
    kind = rng.integers(5)
    if kind == 0:
        cv2.rectangle(canvas, one, other, colour, int(rng.choice([-1, -1, 2, 6])))
    elif kind == 1:
        axes = (rng.uniform(0.02, 0.25, 2) * width).astype(int).tolist()
        cv2.ellipse(canvas, one, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    elif kind == 2:
        cv2.line(canvas, one, other, colour, int(rng.integers(1, 20)), cv2.LINE_AA)
    elif kind == 3:
        cv2.fillPoly(canvas, [(corners[0] + (corners - corners[0]) // 4).reshape(-1, 1, 2).astype(np.int32)], colour)
    else:
        cv2.rectangle(canvas, [0, one[1]], [width, height], colour, -1)


def _occluder(rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
    """Something that stands before the person: where it is, uint8 [height, width], 255 or 0, and how it looks."""
    mask = np.zeros((height, width), np.uint8)
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.45, 0.85) * height
    half = rng.uniform(0.05, 0.5) * width
    top = [[x - half, y], [x + half, y + rng.normal(0, 0.05) * height], [x + half, height if rng.random() < 0.6 else y + 0.2 * height]]
    cv2.fillPoly(mask, [np.array([*top, [x - half, top[2][1]]]).reshape(-1, 1, 2).astype(np.int32)], 255)
    return mask, np.clip(backdrop(rng, height, width), 0, 255).astype(np.uint8)


def _tones(rng: np.random.Generator) -> Pixels:
    """Exposure, contrast and white balance: for each of 256 values of blue, green and red what becomes of it, uint8 [1, 256, 3]."""
    value: Doubles = np.arange(256)[:, None] / 255
    gain = np.exp(rng.normal(0, 0.22) + rng.normal(0, 0.07, 3))
    toned = np.clip(gain * value, 0, 1) ** np.exp(rng.normal(0, 0.2)) * rng.uniform(0.85, 1) + rng.uniform(0, 0.06)
    return np.asarray(np.clip(255 * toned, 0, 255), np.uint8)[None]


def _patterned(rng: np.random.Generator, rest_m: Floats, material: npt.NDArray[np.int64]) -> Floats:
    """What each corner's colour is multiplied by, [N, 3]: cloth with checks, spots or clouds, on some people."""
    factor = np.ones((len(rest_m), 3), np.float32)
    for number in np.unique(material):
        if rng.random() < 0.35:
            waves = np.sin(rest_m @ rng.normal(0, np.exp(rng.uniform(2.5, 4.5)), (3, 3)) + rng.uniform(0, 6, 3)).prod(1)
            waves = np.sign(waves) if rng.random() < 0.5 else waves
            pattern = 1 + rng.uniform(0.05, 0.6) * waves[:, None] * rng.uniform(0.5, 1, 3)
            factor[material == number] = pattern[material == number] if number > 2 else 1  # not skin, hair and eyes
    return factor
