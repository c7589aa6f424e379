"""Who is who: ids that stay with a person and are never used again."""

from __future__ import annotations

from math import hypot
from typing import Optional

from models.detection.blazepose_regions import Region

MAX_MOVE = 0.5
"""A person found again is the one lost when its region's centre moved less than this, in sides of the region..."""
MAX_GROWTH = 1.5
"""...and its side grew or shrank less than this many times."""
NS_PER_MS = 1_000_000


class Identity:
    """The id of the one person that is followed: the time at which it was first seen, in ms of the stream.

    Times only grow, so an id cannot come back, and a restarted process needs no memory to keep that promise.
    """

    def __init__(self, keep_frames: int) -> None:
        self._keep_frames = keep_frames
        self._person = -1
        self._region: Optional[Region] = None
        self._missed_frames = 0

    def followed(self, region: Region) -> int:
        """The id of the person who was there in the last frame too, and now is in `region`."""
        self._region = region
        return self._person

    def found(self, region: Region, t_ns: int) -> int:
        """The id of a person newly found in `region` at `t_ns`: the last one's, where it may well be the same."""
        if self._region is None or self._missed_frames > self._keep_frames or not _alike(self._region, region):
            self._person = t_ns // NS_PER_MS
        self._region = region
        self._missed_frames = 0
        return self._person

    def missed(self) -> None:
        """A frame was processed and nobody was in it."""
        self._missed_frames += 1


def _alike(one: Region, other: Region) -> bool:
    moved_px = hypot(other.x_px - one.x_px, other.y_px - one.y_px)
    smaller_px, larger_px = sorted((one.side_px, other.side_px))
    return moved_px < MAX_MOVE * larger_px and larger_px < MAX_GROWTH * smaller_px
