"""One rendered clip: who does what before which camera, where they truly are, and what BlazePose says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels
from poselift.models.training.motion import RATE_HZ
from poselift.models.training.recordings import Clip, Split, load_clips
from poselift.models.training.rendered.body import MakeHuman, fetched
from poselift.models.training.rendered.builds import random_build, random_look
from poselift.models.training.rendered.looks import dress
from poselift.models.training.rendered.motions import random_piece
from poselift.models.training.rendered.picture import Actor, Stage
from poselift.models.training.rendered.pose import pose, skin
from poselift.models.training.rendered.shots import random_camera
from poselift.models.training.rendered.truth import joints, keypoints
from poselift.models.training.rendered.watched import Watching

PICTURES = 64
"""Of a clip, at RATE_HZ."""
VALIDATION_EVERY = 20
"""One clip in so many is of the people who choose between recipes."""


class Scene:
    """Clip number `number` of a seed, ready to be filmed: the same numbers give the same clip."""

    def __init__(self, clips: dict[Split, list[Clip]], bodies: MakeHuman, seed: int, number: int, pictures: int = PICTURES) -> None:
        self._rng = rng = np.random.default_rng([seed, number])
        self.split: Split = "train" if number % VALIDATION_EVERY else "validation"
        self.piece = random_piece(clips[self.split], rng, pictures)
        self.build = random_build(rng)
        look = random_look(rng, self.build)
        bare = bodies.body(look.shapes)
        self.body = dress(bare, look)
        self.motion = pose(bare, self.piece.joints_m, rng, self.piece.feet_m)
        self.keypoints_m, self.joints_m = keypoints(bare, self.motion), joints(bare, self.motion)
        self.camera = random_camera(rng, self.keypoints_m)
        self.stage = Stage(self.camera, rng)
        self.actor = Actor(self.body, look, rng)
        self.height_m = float(np.ptp(bare.vertices_m[np.unique(bare.triangles[bare.surface == 0]), 2]))
        self.visible = np.zeros(self.keypoints_m.shape[:2], np.uint8)
        """[T, 21]: of each keypoint, by COCO's numbers; known once the clip was filmed"""

    def film(self) -> Iterator[Pixels]:
        """The pictures, one after the other."""
        count = len(self.keypoints_m)
        vertices_m = skin(self.body.body, self.motion, 0)
        for t in range(count):
            next_m = skin(self.body.body, self.motion, t + 1) if t + 1 < count else vertices_m
            picture, layer = self.stage.picture(self.actor, vertices_m, next_m)
            self.visible[t] = self.stage.visibility(self.keypoints_m[t], layer)
            vertices_m = next_m
            yield picture


def watched(scene: Scene, blazepose: Watching) -> dict[str, npt.NDArray[Any]]:
    """What is kept of a clip; see the package's docstring."""
    seen = blazepose.watch(scene.film(), RATE_HZ)
    camera = scene.camera
    kept = {
        "joints_m": camera.axes_of(scene.joints_m),
        "keypoints_m": camera.axes_of(scene.keypoints_m),
        "keypoints_px": camera.pixels_of(scene.keypoints_m),
        "visible": scene.visible,
        "focal_px": camera.focal_px,
        "size_px": (camera.width_px, camera.height_px),
        "rotation": camera.rotation,
        "place_m": camera.place_m,
        "down": -camera.rotation[:, 2],
        "fps": RATE_HZ,
        "split": scene.split,
        "motion": scene.piece.clip,
        "start_s": scene.piece.start_s,
        "tempo": scene.piece.tempo,
        "mirrored": scene.piece.mirrored,
        "feet_recorded": scene.piece.feet_m is not None,
        "height_m": scene.height_m,
        "build": np.array([*scene.build[:-1], *scene.build.races], np.float32),
        **{f"seen_{name}": value for name, value in seen._asdict().items()},
    }
    return {name: np.asarray(value) for name, value in kept.items()}


def load_sources(motion: Path, folder: Path) -> tuple[dict[Split, list[Clip]], MakeHuman]:
    """What all clips are made of: the recorded motion by split, and the bodies, kept in `folder`. Raises ModelError."""
    splits: tuple[Split, ...] = ("train", "validation")
    clips = {split: load_clips(motion, split) for split in splits}
    return clips, MakeHuman(fetched(folder))
