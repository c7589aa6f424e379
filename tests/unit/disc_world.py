"""A world of discs that stand for people, and fake networks that see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from poselift.models.backends.backend import Tensor
from poselift.models.detection import efficientdet
from poselift.models.detection.blazepose_detections import anchors

FLOAT = np.dtype(np.float32)
SIZE = (480, 640)


class Person(NamedTuple):
    """One whose mid-hip is at (x, y), `radius` px from the top of the body circle; the head marks the place in the picture."""

    x: float
    y: float
    radius: float = 100.0
    score: float = 0.9
    present: bool = True


COLD = np.full((1, 39, 64, 64), -9, np.float32)
"""A heatmap that refines nothing."""


NUMBERS = np.round(np.arange(256) / 50) - 1
"""By brightness, whose disc it is."""


def disc(seen: np.ndarray, number: int) -> np.ndarray:
    """Where this person's disc is: 1, else 0. Not on the rim of a brighter one, which is as bright."""
    level = cv2.LUT(np.ascontiguousarray(seen), (number == NUMBERS).astype(np.uint8))
    return cv2.morphologyEx(level, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


class World:
    """The truth that all fake networks see; they count how often they are asked."""

    def __init__(self) -> None:
        self.people: Sequence[Person] = ()
        self.detector = FakeDetector(self)
        self.landmarks = FakeLandmarks(self)
        self.finder = FakeFinder(self)

    def picture(self) -> np.ndarray:
        """Dark grey, with each person's number in the brightness of the body circle's disc."""
        picture = np.full((*SIZE, 3), 20, np.uint8)
        for number, person in enumerate(self.people):
            cv2.circle(picture, (round(person.x), round(person.y)), round(person.radius), (50 * (number + 1),) * 3, -1)
        return picture


class Fake:
    metadata: dict[str, str] = {}

    def __init__(self, world: World, size: int, outputs: dict[str, tuple[int, ...]]) -> None:
        self.world = world
        self.runs = 0
        self.seen = np.empty(0)
        self.inputs = (Tensor("picture", np.dtype(np.uint8), (1, size, size, 3)),)
        self.outputs = tuple(Tensor(name, FLOAT, shape) for name, shape in outputs.items())

    def close(self) -> None:
        pass


class FakeDetector(Fake):
    def __init__(self, world: World) -> None:
        super().__init__(world, 224, {"boxes": (1, 2254, 12), "scores": (1, 2254, 1)})

    def run(self, tensors):
        self.runs += 1
        self.seen = tensors["picture"][0, :, :, 0]
        scale = 224 / max(SIZE)
        shift = (224 - scale * np.array(SIZE[::-1])) / 2
        boxes, scores = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -99, np.float32)
        for number, person in enumerate(self.world.people):
            hip = np.array([person.x, person.y]) * scale + shift - anchors()[number]
            radius = person.radius * scale
            boxes[0, number, :8] = [*hip, radius, radius, *hip, *(hip - [0, radius])]
            scores[0, number] = np.log(person.score / (1 - person.score))
        return {"boxes": boxes, "scores": scores}


class FakeFinder(Fake):
    """Sees every disc in its input, wherever that was cut from, from `smallest_px` of the input on."""

    smallest_px = 20

    def __init__(self, world: World) -> None:
        super().__init__(world, 320, {"boxes": (1, 19206, 4), "scores": (1, 19206, 1)})

    def run(self, tensors):
        self.runs += 1
        self.seen = tensors["picture"][0, :, :, 0]
        boxes, scores = np.zeros((1, 19206, 4), np.float32), np.zeros((1, 19206, 1), np.float32)
        for number, person in enumerate(self.world.people):
            x, y, columns, rows = cv2.boundingRect(disc(self.seen, number))
            across, down = columns - 1, rows - 1
            if max(across, down) >= self.smallest_px:
                anchor = 1000 * number
                centre_x, centre_y, width, height = efficientdet.anchors()[anchor]
                boxes[0, anchor] = (
                    (y + down / 2 - centre_y) / height,
                    (x + across / 2 - centre_x) / width,
                    np.log(down / height),
                    np.log(across / width),
                )
                scores[0, anchor] = person.score
        return {"boxes": boxes, "scores": scores}


class FakeLandmarks(Fake):
    """Measures the disc that covers the middle of its input; all keypoints are in its centre or, where they are `spread`, on its rim."""

    spread = False

    def __init__(self, world: World) -> None:
        super().__init__(world, 256, {"landmarks": (1, 195), "flag": (1, 1), "heatmap": (1, 39, 64, 64)})

    def run(self, tensors):
        self.runs += 1
        self.seen = tensors["picture"][0, :, :, 0]
        number = round(self.seen[128, 128] / 50) - 1
        if number < 0 or not self.world.people[number].present:
            return {"landmarks": np.zeros((1, 195), np.float32), "flag": np.full((1, 1), 0.1, np.float32), "heatmap": COLD}
        seen = cv2.moments(disc(self.seen, number), binaryImage=True)
        rows = np.zeros((39, 5), np.float32)
        rows[:, :2] = seen["m10"] / seen["m00"], seen["m01"] / seen["m00"]
        rows[:, 3:] = 3
        radius = np.sqrt(seen["m00"] / np.pi)
        if self.spread:
            turn = np.arange(33) / 33 * 2 * np.pi
            rows[:33, :2] += radius * np.stack([np.cos(turn), np.sin(turn)], -1)
        rows[34, 1] -= radius
        return {"landmarks": rows.reshape(1, 195), "flag": np.full((1, 1), 0.9, np.float32), "heatmap": COLD}
