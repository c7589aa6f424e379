"""Where a keypoint that is hidden probably is: it moves along with those that are seen, for a while.

A network that is told nothing of hidden ankles takes the person for half as tall: the box that all keypoints are seen in would end at
the knees. So a keypoint that is missing, and was seen not long ago, is guessed, at a confidence that says so.

The guess is linear regression: the moves of all keypoints since it was seen last are taken as jointly normal, with the covariance that
people in motion have (`weights/comovement.csv`, made by `models/training/comovement.py`), and the hidden one's move is the mean given
those that are seen.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats

NS_PER_S = 1e9

GUESSED = np.float32(0.1)
"""Confidence of a guess: as of what a detector believes to see through something."""
GUESSED_S = 3.0
"""For so long a keypoint is guessed since it was seen, seconds; then it is missing, and where it is nobody knows."""
TREMBLING = 0.015
"""Error of a seen keypoint's move, in body sizes: more of it, and a guess follows single keypoints less."""


class Hidden:
    """One person's keypoints, with guesses for those that are hidden."""

    def __init__(self) -> None:
        self._seen_ns = np.zeros(17, np.int64)
        self._beside_px = np.zeros((17, 17, 2), np.float32)
        """For each keypoint, where all of them were when it was seen last ..."""
        self._beside = np.zeros((17, 17), np.bool_)
        """... and which of them were seen then; none before it was seen at all."""

    def guess(self, t_ns: int, keypoints: Floats) -> Floats:
        """The keypoints [17, 3] (x px, y px, confidence; 0: missing) with every missing one that was seen of late where it may be now."""
        present = keypoints[:, 2] > 0
        self._seen_ns[present], self._beside_px[present], self._beside[present] = t_ns, keypoints[:, :2], present
        if present.all():
            return keypoints
        with_guesses: Floats = keypoints.copy()
        for hidden in np.flatnonzero(~present & self._beside.any(1) & (t_ns - self._seen_ns <= GUESSED_S * NS_PER_S)):
            witnesses = present & self._beside[hidden]
            moves_px = keypoints[witnesses, :2] - self._beside_px[hidden, witnesses]
            with_guesses[hidden, :2] = self._beside_px[hidden, hidden] + _shares(int(hidden), witnesses.tobytes()) @ moves_px
            with_guesses[hidden, 2] = GUESSED
        return with_guesses


@lru_cache(1000)
def _shares(hidden: int, witnesses: bytes) -> Floats:
    """How much of each witness's move goes into the hidden keypoint's."""
    seen = np.frombuffer(witnesses, np.bool_)
    together = _comovement()
    moves = together[np.ix_(seen, seen)] + TREMBLING**2 * np.eye(int(seen.sum()))
    return np.asarray(np.linalg.solve(moves, together[seen, hidden]), np.float32)


@lru_cache(1)
def _comovement() -> npt.NDArray[np.float64]:
    together: npt.NDArray[np.float64] = np.loadtxt(Path(__file__).parents[1] / "weights" / "comovement.csv", delimiter=",")
    return together
