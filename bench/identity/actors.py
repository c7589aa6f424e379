"""Rendered people who go through the scenes: each is drawn once, moving in place, and pasted into pictures afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.rendered.clips import FPS, Shot, load_motion
from poselift.common.arrays import Floats
from poselift.models.training.bodies import unit
from poselift.models.training.cameras import camera_rotation
from poselift.models.training.rendered.body import load_body
from poselift.models.training.rendered.looks import LOOKS, Colour, dress
from poselift.models.training.rendered.pose import coco_truth, pose, skin
from poselift.models.training.rendered.scene import Bytes, Camera, drawn

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 960, 540, 960.0
EYE_M = 1.2
"""The camera's height; it looks straight ahead."""
AWAY_M = 4.8
"""How far away the people are when they are drawn."""
SECONDS = 3.0
"""They do so much, forth and back."""
LAMP = np.array([-0.35, -0.8, -0.5], np.float32)
"""Where the light comes from, in the camera's axes."""
REVISION = 1
"""One higher when the pictures change: older files are then drawn anew."""


class Actor(NamedTuple):
    """Somebody in clothes of their own, and what they do."""

    motion: str
    start_s: float
    facing_deg: float
    """See `Shot`; between 180 and 360 they look to the right."""
    body: int
    """Whose of `LOOKS`."""
    shirt: Colour
    trousers: Colour

    @property
    def name(self) -> str:
        """Fit for a file."""
        return f"{self.motion.replace('/', '-')}-{bytes(self.shirt).hex()}"


class Takes(NamedTuple):
    """An actor at AWAY_M, T pictures."""

    pictures: Bytes
    """[T, H, W, 4]: red, green, blue, each times the cover, and the cover"""
    depth_mm: npt.NDArray[np.int16]
    """[T, H, W]: behind the middle of the hips"""
    floor_px: Floats
    """[2]: the point on the floor below the hips: x, y in the pictures"""
    coco_px: Floats
    """[T, 17, 2]: COCO's keypoints, from that point"""

    def at(self, t_s: float) -> int:
        """The picture at this time."""
        last = len(self.pictures) - 1
        return int(last - abs(round(t_s * FPS) % (2 * last) - last))


RED, GREEN, BLUE, YELLOW = (178, 44, 48), (56, 118, 92), (60, 96, 170), (232, 196, 70)
WHITE, BLACK, BROWN, VIOLET = (236, 236, 230), (36, 36, 40), (140, 112, 84), (118, 66, 140)
ORANGE, NAVY, GREY, PINK = (222, 120, 40), (38, 48, 96), (128, 130, 134), (226, 150, 170)
JEANS, DARK, SAND = (52, 64, 98), (38, 38, 44), (176, 164, 140)
UNIFORM = (92, 118, 140), (46, 48, 58)

HELD_OUT = (
    Actor("amc/05_01", 0.8, 275, 0, RED, JEANS),
    Actor("bvh/05_02", 2.0, 300, 1, WHITE, DARK),
    Actor("bvh/05_05", 1.5, 260, 2, YELLOW, SAND),
    Actor("bvh/05_08", 1.5, 320, 3, GREEN, DARK),
    Actor("amc/135_02", 20.0, 280, 4, BLUE, SAND),
    Actor("amc/135_04", 3.0, 250, 0, BLACK, JEANS),
    Actor("bvh/05_06", 1.0, 310, 1, VIOLET, DARK),
    Actor("amc/135_07", 5.0, 290, 2, BROWN, DARK),
    Actor("bvh/05_14", 1.0, 275, 0, *UNIFORM),
    Actor("bvh/05_17", 4.0, 285, 4, *UNIFORM),
)
"""Of subjects by whom nothing was chosen: eight in clothes of their own, then two in the same."""
OTHERS = (
    Actor("amc/07_03", 0.2, 275, 4, ORANGE, JEANS),
    Actor("amc/35_29", 0.5, 285, 1, NAVY, SAND),
    Actor("amc/16_21", 0.0, 260, 2, WHITE, DARK),
    Actor("amc/02_05", 5.0, 320, 0, GREY, JEANS),
    Actor("amc/49_02", 3.0, 300, 3, PINK, DARK),
    Actor("amc/02_10", 0.5, 290, 4, GREEN, DARK),
    Actor("bvh/07_04", 0.3, 265, 0, BLUE, DARK),
    Actor("amc/16_16", 0.6, 280, 2, BLACK, SAND),
    Actor("amc/35_28", 0.2, 275, 3, *UNIFORM),
    Actor("amc/08_04", 0.5, 285, 2, *UNIFORM),
)
"""Likewise, of those by whom the tracker's numbers were chosen."""


def takes_of(actor: Actor, archive: Path, motion: Path, folder: Path, say: Callable[[str], None]) -> Takes:
    """The actor's pictures, kept in `folder`, drawn where they are not there yet."""
    path, made = folder / f"{actor.name}.npz", f"{REVISION} {actor}"
    if path.is_file():
        with np.load(path) as file:
            if str(file["made"]) == made:
                return Takes(*(file[name] for name in Takes._fields))
    say(f"draws {actor.name}")
    takes = _drawn(actor, archive, motion)
    np.savez_compressed(path, **takes._asdict(), made=made)
    return takes


def _drawn(actor: Actor, archive: Path, motion_path: Path) -> Takes:
    rng = np.random.default_rng([ord(letter) for letter in actor.name])
    look = LOOKS[actor.body]._replace(shirt=actor.shirt, trousers=actor.trousers, stripes=0)
    dressed = dress(load_body(archive, look.shapes), look)
    joints_m = load_motion(motion_path, Shot(actor.motion, actor.start_s, SECONDS, actor.body, actor.facing_deg, 0, 1))
    joints_m[..., :2] -= joints_m[:, :1, :2]
    motion = pose(dressed.bare, joints_m, rng)
    heading = (motion.rotation[:, 0] @ np.array([0, -1, 0])).mean(0)
    towards = np.arctan2(heading[1], heading[0]) + np.radians(actor.facing_deg)
    rotation = camera_rotation([towards + np.pi / 2], [0], [0])[0]
    place_m = np.array([0, 0, EYE_M]) - AWAY_M * rotation[2]
    camera = Camera(rotation, place_m.astype(np.float32), FOCAL_PX, WIDTH_PX, 2 * WIDTH_PX)
    people = [drawn(camera, unit(LAMP @ rotation), dressed, look, skin(dressed.body, motion, t)) for t in range(len(joints_m))]
    left, top = (min(getattr(person, side) for person in people) for side in ("left", "top"))
    right = max(person.left + person.cover.shape[1] for person in people)
    bottom = max(person.top + person.cover.shape[0] for person in people)
    pictures = np.zeros((len(people), bottom - top, right - left, 4), np.uint8)
    depth_mm = np.zeros(pictures.shape[:3], np.int16)
    for t, person in enumerate(people):
        height, width = person.cover.shape
        here: tuple[Any, ...] = (
            t,
            slice(person.top - top, person.top - top + height),
            slice(person.left - left, person.left - left + width),
        )
        pictures[here] = np.round(255 * np.dstack([person.colours, person.cover]))
        depth_mm[here] = np.where(np.isfinite(person.depth_m), 1000 * (person.depth_m - AWAY_M), 0)
    floor_px = camera.pixels_of(np.zeros(3, np.float32))
    coco_px = camera.pixels_of(coco_truth(dressed.bare, motion)) - floor_px
    return Takes(pictures, depth_mm, floor_px - (left, top), coco_px)
