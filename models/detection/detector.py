"""What every 2D pose detector is: pictures go in one by one, people's boxes and keypoints come out. It knows no ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional, Protocol, TypeVar

import numpy as np

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.common.skeleton import KEYPOINTS


class Detections(NamedTuple):
    """The people in one picture, K of them, the most prominent first; K is 0 where there is nobody."""

    boxes: Doubles
    """float64[K, 4]: centre x, centre y, width, height; px."""
    keypoints: Floats
    """float32[K, 21, 3]: as in `poselift.common.people.People2D`."""
    followed: tuple[int, ...]
    """K numbers: which of the Detections of the picture before this is, where the detector has followed the person from there; else -1."""
    depth_px: Optional[Floats] = None
    """float32[K, 21]: as in `poselift.common.people.Detected2D`; None of a detector that does not tell."""
    left_out: int = 0
    """So many more people were seen lately than the detector follows."""


NOBODY = Detections(np.empty((0, 4)), np.empty((0, len(KEYPOINTS), 3), np.float32), ())


class DetectorState(Protocol):
    """What a detector knows of the pictures so far; a value that nobody changes."""

    def scaled(self: State, factor: float) -> State:
        """The same where the pictures become so many times as large; (0, 0) is the middle of a pixel in both."""


State = TypeVar("State", bound=DetectorState)


class PoseDetector2D(Protocol[State]):
    """Finds people in a stream of pictures. What it knows of the stream is a value that the caller keeps."""

    def step(self, state: Optional[State], picture: Pixels, t_ns: int) -> tuple[Optional[State], Detections]:
        """The people in `picture` (uint8[H, W, 3], BGR), taken at `t_ns` of the stream, and the state for the next one.

        `state` is that of the picture before, which showed the same scene at an earlier time in the same size; None where there was none,
        or nothing is known of it. It stays as it is: a picture that proves bad is forgotten with the state that came of it. What is
        returned depends on nothing but `state`, `picture` and `t_ns`.
        """

    def keep(self, state: Optional[State], places: Sequence[int]) -> Optional[State]:
        """Follow, of the people in the last answer, those at these places alone. They are then numbered from 0, in this order."""

    def look_around(self, state: Optional[State], picture: Pixels) -> Optional[State]:
        """Look for more people in a picture that was answered: they are followed from the next one on. The state for the next one.

        So what takes long costs the answer nothing.
        """
