"""Scenes as pictures: people pasted into a room by their depth, pixel by pixel, and what is true of each picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.identity.actors import AWAY_M, EYE_M, FOCAL_PX, HEIGHT_PX, WIDTH_PX, Actor, Takes
from bench.identity.scenes import Scene
from bench.rendered.clips import FPS
from poselift.common.arrays import Bools, Doubles, Floats, Pixels
from poselift.models.training.rendered.scene import Bytes, Camera, Room

MIN_FORM = 0.4
"""Width in heights, or height in widths, of a body: from the side its keypoints lie on a line."""
DIM = 0.85
"""How much of the light a mirror gives back."""
NOISE, NOISES = 2.2, 16
"""Grey levels (standard deviation), and so many pictures of noise in turn."""


class Truth(NamedTuple):
    """The people of one picture and their mirror images, N of them; boxes are left, top, right, bottom, px, within the picture."""

    who: tuple[int, ...]
    """The place in `Scene.people`; a mirror image's is below 0"""
    whole: Doubles
    """[N, 4]: around all keypoints, hidden ones too"""
    seen: Doubles
    """[N, 4]: around the visible pixels"""
    visible: Doubles
    """[N]: the part of the body that is visible, 0 to 1"""


class Layer(NamedTuple):
    """One body in one picture."""

    takes: Takes
    take: int
    x_m: float
    z_m: float
    mirrored: bool
    columns: tuple[int, int]
    """It is seen between these."""


def around(keypoints_px: Floats) -> Doubles:
    """float64[4]: left, top, right, bottom of keypoints [17, 2], within the picture; at least MIN_FORM wide."""
    low, high = keypoints_px.min(0).astype(np.float64), keypoints_px.max(0).astype(np.float64)
    more = np.maximum(MIN_FORM * (high - low)[::-1] - (high - low), 0) / 2
    return within(np.concatenate([low - more, high + more]))


def within(box: Doubles) -> Doubles:
    """The part of a box that lies in the picture."""
    inside: Doubles = np.clip(box, 0, (WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX))
    return inside


def pictures_of(scene: Scene, takes: Mapping[Actor, Takes]) -> Iterator[tuple[Pixels, int, Truth]]:
    """Each picture (BGR), its time in ns, and its truth."""
    rng = np.random.default_rng([ord(letter) for letter in f"{scene.name} {scene.people[0].actor.name}"])
    camera = Camera(
        np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)], np.float32), np.array((0, -8, EYE_M), np.float32), FOCAL_PX, WIDTH_PX, HEIGHT_PX
    )
    stage = _stage(scene, Room(camera, rng).empty)
    noises = [np.round(NOISE * rng.standard_normal(stage.shape, np.float32)).astype(np.int16) for _ in range(NOISES)]
    for number in range(round(scene.seconds * FPS)):
        picture, truth = composed(scene, takes, stage, number / FPS)
        noisy = cv2.add(picture, noises[int(rng.integers(NOISES))], dtype=cv2.CV_8U)
        yield np.ascontiguousarray(noisy[..., ::-1]), round(number * 1e9 / FPS), truth


def _stage(scene: Scene, empty: Floats) -> Bytes:
    """The room with wall and mirror, RGB."""
    stage = np.round(255 * np.clip(empty, 0, 1)).astype(np.uint8)
    if scene.mirror:
        left, right = scene.mirror.columns
        glass = stage[60:420, left:right]
        glass[...] = 0.5 * cv2.GaussianBlur(glass[:, ::-1], (0, 0), 6) + 0.5 * np.array((150, 165, 170))
        cv2.rectangle(stage, (left - 5, 55), (right + 4, 424), (70, 52, 40), 5)
    if scene.wall:
        left, right = _columns(scene)
        bottom = round(HEIGHT_PX / 2 + FOCAL_PX * EYE_M / scene.wall.z_m)
        rows = np.linspace(0, 25, bottom)[:, None]
        grain = 6 * np.sin(rows + np.linspace(0, 9, right - left) + np.sin(rows * 3))
        stage[:bottom, left:right] = (np.array((150, 128, 108)) + grain[..., None]).astype(np.uint8)
    return stage


def _columns(scene: Scene) -> tuple[int, int]:
    assert scene.wall
    at = [WIDTH_PX / 2 + FOCAL_PX * (scene.wall.middle_m + side * scene.wall.width_m / 2) / scene.wall.z_m for side in (-1, 1)]
    return max(round(at[0]), 0), min(round(at[1]), WIDTH_PX)


def _layers(scene: Scene, takes: Mapping[Actor, Takes], t_s: float) -> dict[int, Layer]:
    layers = {}
    for who, person in enumerate(scene.people):
        x_m, z_m, left = person.at(t_s)
        of = takes[person.actor]
        take = of.at(t_s + 0.7 * who)
        layers[who] = Layer(of, take, x_m, z_m, left, (0, WIDTH_PX))
        if scene.mirror:
            x_m, z_m, turned = scene.mirror.image(x_m, z_m)
            layers[-1 - who] = Layer(of, take, x_m, z_m, left != turned, scene.mirror.columns)
    return layers


def composed(scene: Scene, takes: Mapping[Actor, Takes], stage: Bytes, t_s: float) -> tuple[Bytes, Truth]:
    """The picture (RGB) of a time before a `stage` without people, and its truth."""
    layers = _layers(scene, takes, t_s)
    canvas = stage.copy()
    depth_m = np.full(canvas.shape[:2], np.inf, np.float32)
    owner = np.full(canvas.shape[:2], -99, np.int8)
    if scene.wall:
        left, right = _columns(scene)
        depth_m[: round(HEIGHT_PX / 2 + FOCAL_PX * EYE_M / scene.wall.z_m), left:right] = scene.wall.z_m
    for layer in layers.values():
        _shade_floor(canvas, layer)
    sizes = {who: _paste(canvas, depth_m, owner, who, layer) for who, layer in sorted(layers.items(), key=lambda item: -item[1].z_m)}
    boxes = [_seen(owner == who) for who in layers]
    counts = [float((owner == who).sum()) / max(sizes[who], 1) for who in layers]
    whole = np.array([around(_keypoints(layer)) for layer in layers.values()])
    return canvas, Truth(tuple(layers), whole, np.array(boxes), np.array(counts))


def _foot(layer: Layer) -> tuple[float, float, float]:
    """Where they stand, x and y px, and how many times as large as they were drawn."""
    return WIDTH_PX / 2 + FOCAL_PX * layer.x_m / layer.z_m, HEIGHT_PX / 2 + FOCAL_PX * EYE_M / layer.z_m, AWAY_M / layer.z_m


def _keypoints(layer: Layer) -> Floats:
    x_px, y_px, scale = _foot(layer)
    mirrored = (-1 if layer.mirrored else 1, 1)
    return np.asarray(layer.takes.coco_px[layer.take] * mirrored * scale + (x_px, y_px), np.float32)


def _seen(mask: Bools) -> Doubles:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64) if len(rows) else np.zeros(4)


def _shade_floor(canvas: Bytes, layer: Layer) -> None:
    x_px, y_px, scale = _foot(layer)
    if layer.columns != (0, WIDTH_PX):
        return
    wide, high = round(110 * scale), round(22 * scale)
    left, top = round(x_px) - wide, round(y_px) - high
    spot = np.square(np.linspace(-1, 1, 2 * wide))[None] + np.square(np.linspace(-1, 1, 2 * high))[:, None]
    part = canvas[max(top, 0) : top + 2 * high, max(left, 0) : max(left + 2 * wide, 0)]
    spot = spot[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    part[...] = part * (1 - 0.4 * np.exp(-2.5 * spot))[..., None]


def _paste(canvas: Bytes, depth_m: Floats, owner: npt.NDArray[np.int8], who: int, layer: Layer) -> int:
    """Put a body where it is nearer than what is there; returns its pixels, those outside the picture too."""
    takes, take = layer.takes, layer.take
    x_px, y_px, scale = _foot(layer)
    height, width = takes.depth_mm.shape[1:]
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    body = cv2.resize(takes.pictures[take], size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    deep = cv2.resize(takes.depth_mm[take], size, interpolation=cv2.INTER_NEAREST) / np.float32(1000) + np.float32(layer.z_m)
    floor_x = takes.floor_px[0]
    if layer.mirrored:
        body, deep, floor_x = body[:, ::-1], deep[:, ::-1], width - floor_x
    left, top = round(x_px - floor_x * scale), round(y_px - float(takes.floor_px[1]) * scale)
    first, last = max(left, layer.columns[0]), min(left + size[0], layer.columns[1])
    upper, lower = max(top, 0), min(top + size[1], HEIGHT_PX)
    covered = int((body[..., 3] > 127).sum())
    if first >= last or upper >= lower:
        return covered
    body = body[upper - top : lower - top, first - left : last - left]
    deep = deep[upper - top : lower - top, first - left : last - left]
    here = (slice(upper, lower), slice(first, last))
    cover = body[..., 3:].astype(np.float32) / 255
    cover[deep >= depth_m[here]] = 0
    light = DIM if who < 0 else 1.0
    canvas[here] = np.where(cover > 0, light * body[..., :3], 0) + (1 - cover) * canvas[here]
    solid = cover[..., 0] > 0.5
    depth_m[here][solid] = deep[solid]
    owner[here][solid] = who
    return covered
