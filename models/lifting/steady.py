"""Shows people who stand still standing still, without slowing down people who move.

A 2D detector jitters, and some of its errors last for several frames, longer than a receptive field can average away. For somebody who
does not move a longer mean would help; for somebody who moves it would lag. So for every measurement it is decided whether the keypoints
move more than the detector jitters, and the pose is the mean over the time for which they have not.

- *Jitter*: how far a keypoint lies off the line between the measurements before and after it; the median of all keypoints, averaged over
  about a second.
- *Motion*: the distance between a fast and a slow mean of each keypoint, in units of the jitter. For a still person its square, averaged
  over the keypoints of that part of the body where it is largest, stays below STILL (in 99.9 % of the frames of simulated detectors whose
  errors of a few frames are as large as those of one frame); for people who move it is above MOVING in 95 % of the frames.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS

NS_PER_S = 1e9

PARTS = np.zeros((6, len(COCO_KEYPOINTS)), np.float32)
"""[6, 17]: the keypoints of each part of the body: face, trunk, arms, legs."""
for _part, _keypoints in enumerate([(0, 1, 2, 3, 4), (5, 6, 11, 12), (5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16)]):
    PARTS[_part, _keypoints] = 1

FAST_S, SLOW_S = 0.2, 1.0
"""Time constants of the two means, seconds."""
JITTER_S = 1.0
"""Time constant of the jitter's mean."""
STILL, MOVING = 2.5, 5.0
"""Squares of the motion, in units of the jitter; between the two the mean is partly forgotten."""
KNOWN_S = 0.5
"""After so long the jitter is known; before, nothing is held still. The effect then grows to its full strength over the same time."""
LONGEST_S = 3.0
"""The mean covers at most so many seconds, so that a slow change of posture is followed. It is taken twice, as a mean of means: a mean
that is still growing jitters itself."""
MEDIAN_OF_NORMAL = 0.6745
"""Median of the absolute value of a normal variable of standard deviation 1."""


class _Seen(NamedTuple):
    t_s: float
    points: Floats
    present: npt.NDArray[np.bool_]


class Steady:
    """The filter of one person. Its output depends on the sequence of measurements only."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque(maxlen=3)
        self._jitter = 0.0
        self._age_s = 0.0
        self._still_s = 0.0

    def step(self, t_ns: int, keypoints: Floats, joints_m: Floats) -> Floats:
        """The pose [J, 3] to show for `joints_m`, whose keypoints [N, 3] (x px, y px, confidence; 0: missing) were seen at `t_ns`.

        Whether they move is told by the first 17.
        """
        keypoints = keypoints[: len(COCO_KEYPOINTS)]
        newest = _Seen(t_ns / NS_PER_S, keypoints[:, :2], keypoints[:, 2] > 0)
        points, present = newest.points, newest.present
        if not self._seen:
            self._seen.append(newest)
            self._fast = self._slow = points
            self._mean = self._shown = joints_m
            return joints_m
        size_px = _size(points[present])
        if size_px == 0:
            return joints_m
        elapsed_s = max(newest.t_s - self._seen[-1].t_s, 1e-3)
        self._seen.append(newest)
        self._age_s += elapsed_s
        self._update_jitter(size_px, elapsed_s)
        self._fast = self._follow(self._fast, points, present, FAST_S, elapsed_s)
        self._slow = self._follow(self._slow, points, present, SLOW_S, elapsed_s)

        moved = np.clip((self._motion(size_px, present) - STILL) / (MOVING - STILL), 0, 1)
        self._still_s = min((1 - moved) * self._still_s + elapsed_s, LONGEST_S)
        part = elapsed_s / max(self._still_s, elapsed_s)
        self._mean = self._mean + np.float32(part) * (joints_m - self._mean)
        self._shown = self._shown + np.float32(part) * (self._mean - self._shown)
        known = np.float32(np.clip(self._age_s / KNOWN_S - 1, 0, 1))
        shown: Floats = joints_m + known * (self._shown - joints_m)
        return shown

    def _update_jitter(self, size_px: float, elapsed_s: float) -> None:
        if len(self._seen) < 3:
            return
        before, at, after = self._seen
        in_all = before.present & at.present & after.present
        if not in_all.any():
            return
        share = (at.t_s - before.t_s) / max(after.t_s - before.t_s, 1e-3)
        line = (1 - share) * before.points[in_all] + share * after.points[in_all]
        spread = math.sqrt(1 + share**2 + (1 - share) ** 2) * MEDIAN_OF_NORMAL * size_px
        jitter = float(np.median(np.abs(at.points[in_all] - line))) / spread
        self._jitter += max(_gain(elapsed_s, JITTER_S), elapsed_s / self._age_s) * (jitter - self._jitter)

    def _follow(self, mean: Floats, points: Floats, present: npt.NDArray[np.bool_], time_s: float, elapsed_s: float) -> Floats:
        gain = np.float32(max(_gain(elapsed_s, time_s), elapsed_s / (self._age_s + elapsed_s)))
        return np.where(present[:, None], mean + gain * (points - mean), mean)

    def _motion(self, size_px: float, present: npt.NDArray[np.bool_]) -> float:
        unit_px = self._jitter * size_px + 1e-9
        squares = np.square((self._fast - self._slow) / unit_px).sum(-1) / 2 * present
        return float((PARTS @ squares / np.maximum(PARTS @ present, 1)).max())


def _size(points: Floats) -> float:
    return float(np.ptp(points, axis=0).max()) if len(points) else 0.0


def _gain(elapsed_s: float, time_s: float) -> float:
    return 1 - math.exp(-elapsed_s / time_s)
