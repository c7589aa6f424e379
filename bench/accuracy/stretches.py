"""A piece of each clip in which something is done to the keypoints, with enough of the past before it, and the same piece left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS, Scene
from bench.accuracy.lifting import Poses, lift, with_confidence
from poselift.models.backends.backend import Model

Floats = npt.NDArray[np.float64]

HISTORY = 8 * FPS
"""Frames before a stretch that are lifted too, as far as the clip has them: longer than any lifter here remembers."""
NOT_BEFORE = FPS
"""A stretch begins after the first second."""
SEED = 3


class Stretch(NamedTuple):
    """A few seconds of a scene at the judge's rate, with the judge's noise."""

    scene: Scene
    times_s: Floats
    keypoints: Floats
    """[T, 17, 3]"""
    truth_m: Floats
    """[T, 17, 3]"""
    begin: int
    """The first frame in which something is done."""

    def lift(self, model: Model, changed: Sequence[Floats]) -> Poses:
        """The poses of the keypoints as they are (first), and of each way in which they are `changed`."""
        everyone = np.stack([self.keypoints, *changed])
        return lift(model, everyone, self.times_s, self.scene.width_px, self.scene.height_px)


def stretches(scenes: Sequence[Scene], length: int, after: int, repeats: int) -> Iterator[Stretch]:
    """One of `length` frames in each clip, then the same again elsewhere; `after` more frames follow it."""
    for repeat in range(repeats):
        for number, scene in enumerate(scenes):
            frames = len(scene.times_s(FPS))
            begin = int(np.random.default_rng((SEED, repeat, number)).integers(NOT_BEFORE, frames - length - after + 1))
            first = max(0, begin - HISTORY)
            yield _cut(scene, first, begin, begin + length + after)


def beginnings(scenes: Sequence[Scene], frames: int) -> Iterator[Stretch]:
    """The first frames of each clip: there is no past."""
    for scene in scenes:
        yield _cut(scene, 0, 0, frames)


def _cut(scene: Scene, first: int, begin: int, end: int) -> Stretch:
    times_s = scene.times_s(FPS)
    noisy_px = scene.noisy_px(scene.clean_px(scene.cut(times_s)))
    piece = slice(first, end)
    return Stretch(scene, times_s[piece] - times_s[first], with_confidence(noisy_px[piece]), scene.truth_m(times_s[piece]), begin - first)


def indices(names: Sequence[str], among: Sequence[str]) -> list[int]:
    """Where those names stand; a name without a side stands for both sides."""
    return [number for number, name in enumerate(among) if name in names or name.partition("_")[2] in names]
