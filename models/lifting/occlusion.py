"""Guesses where a keypoint that is hidden now probably is: for a while it moves along with those that are seen.

Without a guess, a network takes a person whose ankles are hidden for half as tall, because the box around the keypoints ends at the knees.
So a keypoint that was seen not long ago is guessed, and its confidence shows that it is a guess.

The guess is linear regression. The moves of all keypoints since the hidden one was seen last are taken as jointly normal, with the
covariance of people in motion (`weights/comovement.csv`, from `models/training/comovement.py`); the hidden one's move is the mean, given
the moves of those that are seen. A keypoint that the covariance does not have takes no part.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats

NS_PER_S = 1e9

GUESS_CONFIDENCE = np.float32(0.1)
"""As of what a detector believes to see through something."""
MAX_GUESS_S = 3.0
"""A keypoint is guessed for so long after it was seen last; then it is missing."""
JITTER = 0.015
"""Error of a seen keypoint's move, in body sizes. The larger it is, the less a guess follows single keypoints."""


class OcclusionFiller:
    """Fills in one person's hidden keypoints."""

    def __init__(self) -> None:
        self._count = count = len(_covariance())
        self._seen_ns = np.zeros(count, np.int64)
        self._all_px = np.zeros((count, count, 2), np.float32)
        """For each keypoint, where all keypoints were when it was seen last ..."""
        self._all_seen = np.zeros((count, count), np.bool_)
        """... and which of them were seen then; none before it was seen at all."""

    def fill(self, t_ns: int, keypoints: Floats) -> Floats:
        """The keypoints [N, 3] (x px, y px, confidence; 0: missing) at `t_ns`, with guesses for missing ones that were seen lately."""
        filled: Floats = keypoints.copy()
        keypoints = keypoints[: self._count]
        seen = keypoints[:, 2] > 0
        self._seen_ns[seen], self._all_px[seen], self._all_seen[seen] = t_ns, keypoints[:, :2], seen
        for hidden in np.flatnonzero(~seen & self._all_seen.any(1) & (t_ns - self._seen_ns <= MAX_GUESS_S * NS_PER_S)):
            known = seen & self._all_seen[hidden]
            moves_px = keypoints[known, :2] - self._all_px[hidden, known]
            filled[hidden, :2] = self._all_px[hidden, hidden] + _weights(int(hidden), known.tobytes()) @ moves_px
            filled[hidden, 2] = GUESS_CONFIDENCE
        return filled


@lru_cache(1000)
def _weights(hidden: int, known: bytes) -> Floats:
    """The regression's weights of the known keypoints' moves for the hidden one's."""
    which = np.frombuffer(known, np.bool_)
    covariance = _covariance()
    of_known = covariance[np.ix_(which, which)] + JITTER**2 * np.eye(int(which.sum()))
    return np.asarray(np.linalg.solve(of_known, covariance[which, hidden]), np.float32)


@lru_cache(1)
def _covariance() -> npt.NDArray[np.float64]:
    covariance: npt.NDArray[np.float64] = np.loadtxt(Path(__file__).parents[1] / "weights" / "comovement.csv", delimiter=",")
    return covariance
