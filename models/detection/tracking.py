"""Who is who: ids that stay with a person and are never used again."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple, Optional

from poselift.models.detection.blazepose_regions import Region

MAX_MOVE = 0.5
"""A person found again is the one lost when its region's centre moved less than this, in sides of the region..."""
MAX_GROWTH = 1.5
"""...and its side grew or shrank less than this many times."""
NS_PER_MS = 1_000_000


class Identity(NamedTuple):
    """The one person that is followed, or was last.

    The id `person` is the time at which it was first seen, in ms of the stream: times only grow, so an id cannot come back, and a
    restarted process needs no memory to keep that promise. `region` is where it was seen last (None: nobody was, whom one could find
    again), and `missed_frames` counts the frames since then.
    """

    person: int = -(2**62)
    region: Optional[Region] = None
    missed_frames: int = 0

    def followed(self, region: Region) -> Identity:
        """The person who was there in the last frame too, and now is in `region`."""
        return self._replace(region=region)

    def found(self, region: Region, t_ns: int, keep_frames: int) -> Identity:
        """A person newly found in `region` at `t_ns`: the last one, where it may well be and was missed for at most `keep_frames`."""
        same = self.region is not None and self.missed_frames <= keep_frames and _alike(self.region, region)
        return Identity(self.person if same else max(t_ns // NS_PER_MS, self.person + 1), region)

    def times(self, factor: float) -> Identity:
        """The same person in a picture so many times as large."""
        return self._replace(region=self.region and self.region.times(factor))

    def forgotten(self) -> Identity:
        """Whoever is found next is another person, also in the same place."""
        return self._replace(region=None)

    def missed(self) -> Identity:
        """A frame was processed and nobody was in it."""
        return self._replace(missed_frames=self.missed_frames + 1)


def _alike(one: Region, other: Region) -> bool:
    moved_px = hypot(other.x_px - one.x_px, other.y_px - one.y_px)
    smaller_px, larger_px = sorted((one.side_px, other.side_px))
    return moved_px < MAX_MOVE * larger_px and larger_px < MAX_GROWTH * smaller_px
