"""Pictures into the ring: each gets its number, its time and a slot."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Optional

from poselift.app.dataflow.frames import NEVER, TAKERS, RingWriter, take_over
from poselift.app.dataflow.messages import Frame, Stamp
from poselift.app.dataflow.session import join
from poselift.workers.sources import CapturedPicture
from poselift.workers.sources.clocks import Timeline

KEPT_FREE = 2
"""Live, slots that a slow recorder cannot keep from the detector."""
REMOVED = (
    "%s was removed by somebody else (a login manager may clear a user's files in /dev/shm at logout); going on with a new one; "
    "where that happens again, set runtime_folder in the config to another folder"
)

log = logging.getLogger("capture")


class FrameWriter:
    """Numbers pictures and puts them into the ring. Goes on with the numbers and times of an earlier capture of the same session.

    `source` is a number for where the pictures come from (`poselift.workers.sources.identity`). `every` names the takers that must see
    every frame: each slot is kept until they have. Live, one that is far behind may find its picture overwritten.
    """

    def __init__(self, folder: Path, slots: int, live: bool, every: Collection[str], source: int) -> None:
        self._folder, self._slots, self._live, self._every = folder, slots, live, every
        self._ring_number, left = take_over(folder, join(folder).start_ns)
        self.done_ns = left.t_ns if left.source == source else NEVER
        """An earlier capture was at work on this very source, and came to this time."""
        self.position = left if left.source == source else left._replace(source=source, begin_ns=left.t_ns)
        self._ring: Optional[RingWriter] = None
        self._here: frozenset[str] = frozenset()

    def frame(self, picture: CapturedPicture, fps: float, taken_ns: int, takers: frozenset[str]) -> Optional[Frame]:
        """The picture as a frame in the ring; None while there is no room for it.

        `taken_ns` begins its trace, `takers` are those who listen now.
        """
        ring = self._ring_for(picture, takers)
        free = ring.free_slots() if ring else []
        slot = ring.claim(free) if ring else None
        if ring is None or slot is None:
            return None
        number = self.position.next_frame
        self.position = self.position._replace(next_frame=number + 1, t_ns=picture.t_ns)
        generation = ring.write(slot, picture.pixels, self.position)
        if not self._live or len(free) > KEPT_FREE:
            for taker in self._every:
                ring.hold(slot, taker)
        height_px, width_px = picture.pixels.shape[:2]
        trace = (Stamp("capture", taken_ns, taken_ns),)
        return Frame(number, picture.t_ns, width_px, height_px, fps, ring.number, slot, generation, "ring", b"", 0, trace)

    def timeline(self, live: bool) -> Timeline:
        """The stream's times. Those of a file that is read once more come out as they did the first time."""
        if live and self.done_ns != NEVER:
            return Timeline(self.done_ns, begins=False)
        return Timeline(self.position.begin_ns, begins=self.position.begin_ns != NEVER)

    def finish(self) -> None:
        """The source has ended, or is not wanted any more: whoever comes next does not go on with it."""
        self.position = self.position._replace(source=0)
        if self._ring is None:
            with suppress(OSError):  # even the folder is gone
                self._ring = RingWriter(self._folder, self._ring_number, 0, 0)
        if self._ring:
            self._ring.keep(self.position)

    def lose(self, pictures: int) -> None:
        """Pictures that cannot be had have their numbers, too."""
        self.position = self.position._replace(next_frame=self.position.next_frame + pictures)

    def release(self, frame: Frame, takers: Collection[str]) -> None:
        """These takers were not told of this frame, the one made last: they do not hold its slot."""
        for taker in takers:
            if self._ring:
                self._ring.release(taker, frame.slot)

    def _ring_for(self, picture: CapturedPicture, takers: frozenset[str]) -> Optional[RingWriter]:
        """The ring. A new one where a picture is larger than the slots, once all have seen what they must in the old one, or where
        takers cannot find it any more. Where even the folder is gone, whoever has the ring open goes on with it.
        """
        old = self._ring
        if old:
            for taker in (self._here - takers).intersection(TAKERS):  # it died, and holds nothing any more
                old.release(taker)
        self._here = takers
        if old and (old.is_there() or not self._folder.is_dir()):
            if picture.pixels.nbytes <= old.slot_bytes:
                return old
            if not old.all_released():
                return None
        elif old:
            log.warning(REMOVED, old.path)
        self._ring = RingWriter(self._folder, self._ring_number, self._slots, picture.pixels.nbytes, self.position)
        self._ring_number += 1
        if old:
            old.remove()
        return self._ring
