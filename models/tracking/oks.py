"""Object keypoint similarity: how far two poses in one picture are the same, as COCO measures it."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats

SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""How far annotators differ at each COCO keypoint, in sizes of the person (cocodataset.org, keypoints evaluation)."""
VARIANCES = np.square(2 * SIGMAS)
MIN_CONFIDENCE = 0.1


def similarity(one: Floats, other: Floats, tolerance: float = 1.0) -> float:
    """0 to 1, of keypoints [17, 3] (x px, y px, confidence): mean over those that both show of exp(-d^2 / (2 s^2 (2 sigma)^2)).

    d is the distance, and s the size of the smaller person: the square root of the area of the keypoints' box; `tolerance` times as much
    is allowed. 0 where both show nothing in common.
    """
    shown = (one[:, 2] >= MIN_CONFIDENCE) & (other[:, 2] >= MIN_CONFIDENCE)
    if not shown.any():
        return 0.0
    area = min(float(np.ptp(of[:, :2], axis=0).prod()) for of in (one, other)) * tolerance * tolerance
    distance = np.square(one[shown, :2] - other[shown, :2]).sum(-1)
    return float(np.exp(-distance / (2 * max(area, 1.0) * VARIANCES[shown])).mean())
