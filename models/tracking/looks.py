"""How a person looks: the colours of the torso, to know them again where place and motion do not tell."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Doubles, Floats, Pixels

Looks = Doubles
"""float64[56]: shares of the torso's pixels by lightness, and by the two colour axes of CIE Lab; each part sums to 1."""

SHOULDERS, HIPS = [5, 6], [11, 12]
"""Places of the COCO keypoints."""
ACROSS, DOWN = (grid.ravel() for grid in np.meshgrid(np.linspace(-0.7, 0.7, 10), np.linspace(0.1, 0.9, 16)))
"""Where the torso is sampled: from its axis to its sides at -1 and 1, and from the shoulders at 0 to the hips at 1."""
MIN_WIDTH = 0.18
"""Of half a torso, in its lengths: from the side, shoulders lie one behind the other."""
MIN_CONFIDENCE, MIN_LENGTH_PX = 0.5, 6.0
BINS = (8, 24, 24)
FIRST = (0, 8, 32)
"""The place of each part's first bin."""
RANGES = ((0.0, 256.0), (80.0, 176.0), (80.0, 176.0))
"""Of what OpenCV gives in 8 bits; clothes and skin are hardly more colourful."""
LOW, LAST = np.array([low for low, _ in RANGES]), np.array(BINS) - 1
SCALE = BINS / np.ptp(RANGES, axis=1)
OTHER_LIGHT = (0.5, 1.0, 1.0)
"""Standard deviations, in bins, by which another light may change the colours."""


def looks_of(picture: Pixels, keypoints: Floats) -> Optional[Looks]:
    """The looks of the person with these `keypoints` [21, 3] in `picture` (BGR); None where their torso is not to be seen."""
    torso = keypoints[SHOULDERS + HIPS].astype(np.float64)
    upper, lower = torso[:2, :2].mean(0), torso[2:, :2].mean(0)
    axis = lower - upper
    length_px = float(np.hypot(*axis))
    (x, y), (height_px, width_px) = (upper + lower) / 2, picture.shape[:2]
    if torso[:, 2].mean() < MIN_CONFIDENCE or length_px < MIN_LENGTH_PX or not (0 <= x < width_px and 0 <= y < height_px):
        return None
    aside = np.array([-axis[1], axis[0]]) / length_px
    half_px = [max(abs(float((one - other) @ aside)) / 2, MIN_WIDTH * length_px) for one, other in (torso[:2, :2], torso[2:, :2])]
    out_px = ACROSS * (half_px[0] + (half_px[1] - half_px[0]) * DOWN)
    places = upper[:, np.newaxis] + 0.5 + axis[:, np.newaxis] * DOWN + aside[:, np.newaxis] * out_px
    columns, rows = places.astype(np.intp)
    colours = picture[rows.clip(0, height_px - 1), columns.clip(0, width_px - 1)]
    return _shares(cv2.cvtColor(colours[np.newaxis], cv2.COLOR_BGR2LAB)[0])


def _shares(lab: npt.NDArray[np.uint8]) -> Doubles:
    """The looks of pixels [N, 3]; a value between the middles of two bins counts for both."""
    place = ((lab - LOW) * SCALE - 0.5).clip(0, LAST)
    below = np.minimum(place.astype(np.intp), LAST - 1)
    beyond, below = place - below, below + FIRST
    weights = np.concatenate([1 - beyond, beyond])
    shares: Doubles = np.bincount(np.concatenate([below, below + 1]).ravel(), weights.ravel(), sum(BINS)) / len(lab)
    return shares


def likeness(one: Looks, other: Looks) -> float:
    """0 to 1: the product of the parts' Bhattacharyya coefficients.

    Measured on the demo clip, whose two people wear pale colours: the same person in the same light 0.5 to 0.9, out of the sun's glare
    0.3 to 0.7, the other one 0.2 to 0.7. A red shirt and a green one have below 0.01.
    """
    return float(np.add.reduceat(np.sqrt(one * other), FIRST).prod())


def likeness_in_other_light(one: Looks, other: Looks) -> float:
    """The same, of colours that the light may have changed: 0.5 to 0.9 out of the glare, and 0.1 for a red and a pale brown shirt."""
    return likeness(one @ BLUR, other @ BLUR)


def _blur() -> Doubles:
    blur = np.zeros((sum(BINS), sum(BINS)))
    for first, bins, wide in zip(FIRST, BINS, OTHER_LIGHT):
        away = np.subtract.outer(np.arange(bins), np.arange(bins)) / wide
        weights = np.exp(-np.square(away) / 2)
        blur[first : first + bins, first : first + bins] = weights / weights.sum(1, keepdims=True)
    return blur


BLUR = _blur()
