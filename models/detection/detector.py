"""What every 2D pose detector is: pictures go in one by one, people's keypoints come out."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt


class People2D(NamedTuple):
    """The people of one picture; K is 0 where there is nobody.

    `person` is int64[K], the ids: the same person keeps one, and none is ever used again within a stream.
    `keypoints` is float32[K, 17, 3]: x and y in pixels of the picture (which they may leave), confidence 0..1; COCO order
    (`models.skeleton.COCO_KEYPOINTS`).
    """

    person: npt.NDArray[np.int64]
    keypoints: npt.NDArray[np.float32]


class PoseDetector2D(Protocol):
    """Finds and follows people in a stream of pictures."""

    def step(self, picture: npt.NDArray[np.uint8], t_ns: int) -> People2D:
        """The people in `picture` (uint8[H, W, 3], BGR), taken at `t_ns` of the stream.

        Times grow; live, some pictures are left out. What is returned depends on nothing but the pictures and times so far.
        """
