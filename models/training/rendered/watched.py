"""BlazePose as it follows one person live, and all that its landmark network says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import NamedTuple, Optional, cast

import numpy as np

from poselift.common.arrays import Array, Floats, Pixels
from poselift.models.backends.backend import Model
from poselift.models.detection.blazepose import BlazePose
from poselift.models.detection.blazepose_landmarks import INPUT_SIZE, refine, sigmoid
from poselift.models.detection.blazepose_person import Landmarks, Sight
from poselift.models.detection.blazepose_regions import Region, to_picture, transform

MIN_SCORE, MIN_PRESENCE = 0.5, 0.5
"""As config.yaml has them."""
LANDMARKS = 33
"""Of a body, in BlazePose's order; 29 to 32 are left and right heel, left and right toe."""


class Said(NamedTuple):
    """What the network says of a person in a picture; NaN of nobody. `x` is to the right, `y` down, `z` away from the camera."""

    px: Floats
    """[33, 2]"""
    depth_px: Floats
    """[33]: against the middle of the hips, in the picture's pixels: the network's z"""
    visibility: Floats
    """[33]: 0 to 1, in the picture and not hidden"""
    presence: Floats
    """[33]: 0 to 1, in the picture"""
    world_m: Floats
    """[33, 3]: against the middle of the hips, in the camera's axes"""
    confidence: Floats
    """[]: 0 to 1, that a person is there"""


NOTHING = Said(*(np.full(shape, np.nan, np.float32) for shape in ((33, 2), (33,), (33,), (33,), (33, 3), ())))


class Watching(BlazePose):
    """BlazePose that keeps all that its landmark network says of the person whom it sees."""

    def __init__(self, detector: Model, landmarks: Model) -> None:
        super().__init__(detector, landmarks, MIN_SCORE, MIN_PRESENCE)
        self._landmarks = self._asked = _Asked(landmarks)

    def watch(self, pictures: Iterable[Pixels], fps: float) -> Said:
        """What it says of the pictures of a clip, live: the first axis of everything is that of the pictures."""
        state, said = None, []
        for number, picture in enumerate(pictures):
            state, _ = self.step(state, picture, round(number * 1e9 / fps))
            said.append(self._asked.said if state else NOTHING)
        return Said(*map(np.stack, zip(*said)))


class _Asked(Landmarks):
    """The landmark network, and what it said of the last person it saw."""

    said = NOTHING

    def __init__(self, network: Model) -> None:
        self._asked = network
        self._answer: Mapping[str, Array] = {}
        kept = SimpleNamespace(inputs=network.inputs, outputs=network.outputs, run=self._run)
        super().__init__(cast(Model, kept), MIN_PRESENCE)

    def look(self, picture: Pixels, region: Region) -> Optional[Sight]:
        """See `Landmarks.look`."""
        sight = super().look(picture, region)
        if sight is not None:
            self.said = _decoded(self._answer, region)
        return sight

    def _run(self, tensors: Mapping[str, Array]) -> Mapping[str, Array]:
        self._answer = self._asked.run(tensors)
        return self._answer


def _decoded(answer: Mapping[str, Array], region: Region) -> Said:
    """The network's answer in the picture: see `poselift.models.detection.blazepose_landmarks.decode`."""
    matrix = to_picture(region, INPUT_SIZE)
    scale = region.side_px / INPUT_SIZE
    rows = answer["landmarks"].reshape(-1, 5)[:LANDMARKS]
    px = transform(refine(rows[:, :2], answer["heatmap"][0], np.arange(LANDMARKS)), matrix)
    world_m = answer["world"].reshape(-1, 3)[:LANDMARKS]
    turned = np.column_stack([world_m[:, :2] @ (matrix[:, :2] / scale).T, world_m[:, 2]])
    visibility, presence = sigmoid(rows[:, 3:]).T
    values = (px, scale * rows[:, 2], visibility, presence, turned, answer["flag"][0, 0])
    return Said(*(np.asarray(value, np.float32) for value in values))
