"""Pictures in: a source becomes `Frame` messages, their pixels in the ring of frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union

from app.config import CaptureConfig, Config
from app.dataflow.bus import Bus
from app.dataflow.frames import TAKERS, RingWriter, take_over
from app.dataflow.messages import Frame, Stamp
from app.dataflow.session import join
from app.dataflow.streams import Take
from app.errors import UserError
from app.processes.loop import TURN_S, Loop
from workers.sources import Lost, Picture, Source, SourceLost, is_live, open_source

SLOT_WAIT_S = 0.004
"""From a file, how often to look whether a slot has become free: all are full then, so there is time."""
DECODE_NS = 12_000_000
"""What decoding one picture may take."""
KEPT_FREE = 2
"""Live, slots that a slow recorder cannot keep from the detector."""

log = logging.getLogger("capture")


class FrameSender:
    """Numbers pictures, puts them into the ring and announces them. Goes on where an earlier capture of the same session stopped."""

    def __init__(self, loop: Loop, folder: Path, slots: int, live: bool) -> None:
        self._loop, self._folder, self._slots, self._live = loop, folder, slots, live
        self._ring_number, self.position = take_over(folder, join(folder).start_ns)
        loop.frames_captured = self.position.next_frame
        self._ring: Optional[RingWriter] = None
        self._every = [link.taker for link in loop.bus.links if link.message is Frame and link.take is Take.EVERY]
        self._here: frozenset[str] = frozenset()

    def send(self, picture: Picture, fps: float, received_ns: int) -> None:
        """Send one picture. From a file, waits for a free slot; live, a taker that is far behind may find its picture overwritten."""
        ring = self._ring_for(picture)
        free = self._free_slots(ring)
        while not free and not self._loop.stopping:
            self._loop.turn()
            time.sleep(SLOT_WAIT_S)
            free = self._free_slots(ring)
        if not free:
            return
        slot, number = free[0], self.position.next_frame
        t_ns = max(picture.t_ns, self.position.t_ns + 1)
        self.position = self.position._replace(next_frame=number + 1, t_ns=t_ns)
        generation = ring.write(slot, picture.pixels, self.position)
        if not self._live or len(free) > KEPT_FREE:
            for taker in self._every:
                ring.hold(slot, taker)
        height_px, width_px = picture.pixels.shape[:2]
        trace = (Stamp("capture", received_ns, received_ns),)
        self._loop.frames_captured = number + 1
        frame = Frame(number, t_ns, width_px, height_px, fps, ring.number, slot, generation, "ring", b"", 0, trace)
        for taker in self._loop.send(frame):
            ring.release(taker, slot)

    def lose(self, lost: Lost) -> None:
        """Pictures that there are and that cannot be sent: they have their numbers, and are counted."""
        self.position = self.position._replace(next_frame=self.position.next_frame + lost.pictures)
        self._loop.frames_captured = self.position.next_frame
        self._loop.skip(lost.reason, lost.pictures)

    def _ring_for(self, picture: Picture) -> RingWriter:
        """The ring, or a new one where a picture is larger than the slots; the old one goes when all have seen what they must."""
        old = self._ring
        if old and picture.pixels.nbytes <= old.slot_bytes:
            return old
        while old and not old.all_released() and not self._loop.stopping:
            self._loop.turn()
            time.sleep(SLOT_WAIT_S)
            self._free_slots(old)
        self._ring = RingWriter(self._folder, self._ring_number, self._slots, picture.pixels.nbytes, self.position)
        self._ring_number += 1
        if old:
            old.remove()
        return self._ring

    def _free_slots(self, ring: RingWriter) -> list[int]:
        here = self._loop.bus.takers()
        for taker in (self._here - here).intersection(TAKERS):  # it died, and holds nothing any more
            ring.release(taker)
        self._here = here
        return ring.free_slots()


def pictures(settings: CaptureConfig, source: Source, loop: Loop) -> Iterator[tuple[Union[Picture, Lost], float]]:
    """What the source gives, and its nominal rate, until the source ends or the worker must leave. A lost camera is opened again."""
    while True:
        try:
            for picture in source:
                yield picture, source.fps
                if loop.stopping:
                    return
            loop.notes += [source.note] if source.note else []
            return
        except SourceLost as lost:
            log.warning("%s", lost)
            loop.meter.note = str(lost)
        finally:
            source.close()
        reopened = _reopen(settings, loop)
        if reopened is None:
            return
        source = reopened


def paced(stream: Iterator[tuple[Union[Picture, Lost], float]], loop: Loop) -> Iterator[tuple[Union[Picture, Lost], float]]:
    """A file's pictures when they are due: by absolute deadlines from the first, so that delays do not add up.

    The next one is decoded shortly before it is due, not at once, when the detector is at work on the last.
    """
    begin_ns: Optional[int] = None
    for picture, fps in stream:
        if isinstance(picture, Lost):
            yield picture, fps
            continue
        begin_ns = time.monotonic_ns() - picture.t_ns if begin_ns is None else begin_ns
        _wait_until(begin_ns + picture.t_ns, loop)
        yield picture, fps
        if fps > 0:
            _wait_until(begin_ns + picture.t_ns + round(1e9 / fps) - DECODE_NS, loop)


def _wait_until(due_ns: int, loop: Loop) -> None:
    while (wait_ns := due_ns - time.monotonic_ns()) > 0 and not loop.stopping:
        time.sleep(min(wait_ns / 1e9, TURN_S))
        loop.turn()


def run(config: Config, bus: Bus) -> None:
    """Pictures from `config.capture.source` to whoever takes frames."""
    loop = Loop(bus)
    loop.on_signals()
    source = _first(config.capture, loop)
    if source is None:
        loop.end()
        return
    _tell(source, loop)
    sender = FrameSender(loop, config.runtime_path(), config.capture.ring_slots, config.live)
    missing = loop.wait_for_takers(config.bus.wait_for_takers_s)
    if missing and not loop.stopping:
        log.warning("nobody takes the frames for %s yet; going on without", ", ".join(sorted(missing)))
    stream = pictures(config.capture, source, loop)
    if not source.live:
        done = sender.position.t_ns  # a capture that was restarted goes on where it was
        stream = (item for item in stream if isinstance(item[0], Lost) or item[0].t_ns > done)
        stream = paced(stream, loop) if config.live else stream
    for picture, fps in stream:
        if isinstance(picture, Lost):
            sender.lose(picture)
        else:
            sender.send(picture, fps, time.monotonic_ns())
        loop.turn()
    loop.end()


def _first(settings: CaptureConfig, loop: Loop) -> Optional[Source]:
    """The source. A service waits for its camera, which after a power cut may come up later; None where the worker must leave first.

    Whoever starts it by hand is told at once: UserError.
    """
    try:
        return open_source(settings)
    except UserError as error:
        if not (loop.manager.here and is_live(settings)):
            raise
        log.warning("%s; waiting for it", error)
        loop.meter.note = str(error)
    return _reopen(settings, loop)


def _tell(source: Source, loop: Loop) -> None:
    """A camera says at once which settings it refused; a file has its note at its end."""
    loop.meter.note = source.note if source.live else ""
    if loop.meter.note:
        log.warning("%s", loop.meter.note)


def _reopen(settings: CaptureConfig, loop: Loop) -> Optional[Source]:
    """The source again, after pauses that grow; None where the worker must leave first."""
    pause_s = settings.reopen_pause_s
    while not loop.stopping:
        _wait_until(time.monotonic_ns() + round(pause_s * 1e9), loop)
        try:
            source = open_source(settings)
        except UserError as error:
            pause_s = min(2 * pause_s, settings.reopen_pause_max_s)
            loop.meter.note = f"{error}; next try in {pause_s:g} s"
        else:
            log.info("%s is back", source.name)
            _tell(source, loop)
            return source
    return None
