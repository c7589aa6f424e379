"""Cuts in a film: whether a picture still shows the scene of the one before.

A coarse picture of each, as contrast against its surroundings, so that neither the light nor a shadow's shade matters; the middle of the
one is looked for in the other, so that neither a shaking nor a panning camera matters. People who move are a small part of it. Two things
are not told from motion: one scene that slowly becomes another, and another person before the very same background.
"""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels

Scene = npt.NDArray[np.float32]
"""[ROWS, COLUMNS]: how much brighter each part of a picture is than what is around it, in standard deviations of that."""

COLUMNS, ROWS = 32, 18
SAMPLES = 4
"""So many pixels in each direction stand for one part of the picture: to read all would take longer than to find the person."""
AROUND = 7
REACH_X, REACH_Y = 6, 3
"""So many parts the camera may have turned from one picture to the next."""
MIN_CONTRAST = 4.0
"""Grey levels (standard deviation around each part, mean of all): where there is less, as in the dark, in fog or a flash, noise decides."""
MIN_LIKENESS = 0.45
"""Correlation. Measured: a scene with the next picture of it at least 0.54, also with two thirds of them left out, flashes, light that
changes, a camera that shakes by 3 % of the width; different scenes at most 0.43, if one is not the mirror image of the other."""


def scene_of(picture: Pixels) -> Optional[Scene]:
    """What the picture (uint8[H, W, 3]) shows; None where that cannot be told."""
    samples = cv2.resize(picture, (SAMPLES * COLUMNS, SAMPLES * ROWS), interpolation=cv2.INTER_NEAREST)
    parts = cv2.resize(samples, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(parts, cv2.COLOR_BGR2GRAY).astype(np.float32)
    mean = cv2.blur(grey, (AROUND, AROUND))
    contrast = np.sqrt(np.maximum(cv2.blur(grey * grey, (AROUND, AROUND)) - mean * mean, 0))
    if contrast.mean() < MIN_CONTRAST:
        return None
    scene: Scene = (grey - mean) / (contrast + MIN_CONTRAST)
    return scene


def same_scene(one: Scene, other: Scene) -> bool:
    """Whether two pictures, one soon after the other, show the same scene."""
    middle = other[REACH_Y:-REACH_Y, REACH_X:-REACH_X]
    return bool(cv2.matchTemplate(one, middle, cv2.TM_CCOEFF_NORMED).max() >= MIN_LIKENESS)
