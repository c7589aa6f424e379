"""What every 2D pose detector is: pictures go in one by one, people's keypoints come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels

State = TypeVar("State")


class People2D(NamedTuple):
    """The people of one picture; K is 0 where there is nobody.

    `person` is int64[K], the ids: the same person keeps one, and none is ever used again within a stream.
    `keypoints` is float32[K, 17, 3]: x and y in pixels of the picture (which they may leave), confidence 0..1; COCO order
    (`poselift.common.skeleton.COCO_KEYPOINTS`).
    """

    person: npt.NDArray[np.int64]
    keypoints: npt.NDArray[np.float32]


class PoseDetector2D(Protocol[State]):
    """Finds and follows people in a stream of pictures. What it knows of the stream is a value that the caller keeps."""

    def step(self, state: Optional[State], picture: Pixels, t_ns: int) -> tuple[State, People2D]:
        """The people in `picture` (uint8[H, W, 3], BGR), taken at `t_ns` of the stream, and the state for the next one.

        `state` is that of the picture before (None: there was none), and stays as it is: a picture that proves bad is forgotten
        with the state that came of it. Times grow; live, some pictures are left out. What is returned depends on nothing but
        `state`, `picture` and `t_ns`.
        """


def follow(detector: PoseDetector2D[State], stream: Iterable[tuple[Pixels, int]]) -> Iterator[People2D]:
    """The people in each picture of a stream of pictures and times, as `PoseDetector2D.step` takes them."""
    state: Optional[State] = None
    for picture, t_ns in stream:
        state, people = detector.step(state, picture, t_ns)
        yield people
