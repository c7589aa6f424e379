"""Pictures in: a source becomes `Frame` messages, their pixels in the ring of frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Callable, NamedTuple, Optional, Union

from poselift.app.config import CaptureConfig, Config
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.frames import NEVER
from poselift.app.dataflow.messages import Frame
from poselift.app.dataflow.streams import Take
from poselift.app.processes.loop import TURN_S, Loop
from poselift.common.errors import UserError
from poselift.workers.frame_writer import FrameWriter
from poselift.workers.sources import CapturedPicture, Lost, Source, SourceLost, identity, is_live, open_source
from poselift.workers.sources.clocks import Timeline

SLOT_WAIT_NS = 4_000_000
"""How often to look whether a slot has become free: from a file all are full then, so there is time."""
DECODE_NS = 12_000_000
"""What decoding one picture may take."""

log = logging.getLogger("capture")


class Wait(NamedTuple):
    """Nothing is to be sent before this time, by the clock of whoever steps: do something else until then."""

    until_ns: int


class Capture:
    """A source's pictures as frames, each at its time; a camera that is gone is opened again, after pauses that grow.

    Waits for nobody but the source. `open_source` opens it, and raises UserError where it cannot; `clock` tells the monotonic time, ns.
    With `paced`, which is for files, pictures come when they are due: by absolute deadlines from the first, so that delays do not add up.
    """

    def __init__(
        self,
        settings: CaptureConfig,
        writer: FrameWriter,
        timeline: Timeline,
        paced: bool,
        open_source: Callable[[], Source],
        clock: Callable[[], int],
    ) -> None:
        self.note = ""
        """How the camera is, for people: which settings it refused, or why it is not there; "" where there is nothing to say."""
        self.last_note = ""
        """What is to say of a file that has ended, such as that it is truncated."""
        self._settings, self._writer, self._paced, self._open_source, self._clock = settings, writer, paced, open_source, clock
        self._timeline = timeline
        self._resuming = writer.done_ns != NEVER
        self._held_back: list[Lost] = []
        self._source: Optional[Source] = None
        self._pictures: Iterator[Union[CapturedPicture, Lost]] = iter(())
        self._picture: Optional[CapturedPicture] = None
        self._taken_ns = self._not_before_ns = 0
        self._origin_ns: Optional[int] = None
        self._pause_s = settings.reopen_pause_s

    def begin(self, source: Source) -> None:
        """Take pictures from this source. A camera says at once which settings it refused; a file has its note at its end."""
        self._source, self._pictures = source, iter(source)
        self.note = source.note if source.live else ""
        if self.note:
            log.warning("%s", self.note)

    def wait_for_it(self, why: str) -> None:
        """There is no source, for this reason: it is opened after a pause."""
        log.warning("%s", why)
        self.close()
        self.note, self._pause_s = why, self._settings.reopen_pause_s
        self._not_before_ns = self._clock() + round(self._pause_s * 1e9)

    def step(self, takers: frozenset[str]) -> Union[Frame, Lost, Wait, None]:
        """Open the source, or take a picture from it and put that into the ring. `takers` are those who listen now.

        A Frame is to be sent, what is Lost to be told. After None no more comes.
        """
        if self._clock() < self._not_before_ns:
            return Wait(self._not_before_ns)
        if self._source is None:
            return self._reopen()
        if self._held_back and not self._resuming:
            return self._lose(self._held_back.pop(0))
        if self._picture is None:
            given = self._fetch(self._source)
            if not isinstance(given, CapturedPicture):
                return given
            self._picture = given
            if self._held_back or self._clock() < self._not_before_ns:
                return Wait(self._not_before_ns)
        return self._frame(self._source, self._picture, takers)

    def close(self) -> None:
        """Give the source back."""
        if self._source:
            self._source.close()
        self._source = None

    def _reopen(self) -> Wait:
        try:
            source = self._open_source()
        except UserError as error:
            self._pause_s = min(2 * self._pause_s, self._settings.reopen_pause_max_s)
            self.note = f"{error}; next try in {self._pause_s:g} s"
            self._not_before_ns = self._clock() + round(self._pause_s * 1e9)
        else:
            log.info("%s is back", source.name)
            self.begin(source)
        return Wait(self._not_before_ns)

    def _fetch(self, source: Source) -> Union[CapturedPicture, Lost, Wait, None]:
        began_ns = self._clock()
        try:
            picture = next(self._pictures, None)
        except SourceLost as lost:
            self.wait_for_it(str(lost))
            return Wait(self._not_before_ns)
        if picture is None:
            self.last_note, self._resuming = source.note, False
            return Wait(self._not_before_ns) if self._held_back else None
        if isinstance(picture, Lost):
            return self._lose(picture)
        t_ns = self._timeline.place(picture.t_ns)
        if source.live:
            self._taken_ns = picture.t_ns
        elif t_ns <= self._writer.done_ns:  # a capture that was restarted goes on where it was
            self._held_back.clear()
            return Wait(self._not_before_ns)
        elif self._paced:
            self._origin_ns = self._clock() - t_ns if self._origin_ns is None else self._origin_ns
            self._taken_ns = self._not_before_ns = self._origin_ns + t_ns
        else:
            self._taken_ns = began_ns
        self._resuming = False
        return picture._replace(t_ns=t_ns)

    def _lose(self, lost: Lost) -> Union[Lost, Wait]:
        if self._resuming:  # told already, unless what was done ends before it
            self._held_back.append(lost)
            return Wait(self._not_before_ns)
        self._writer.lose(lost.pictures)
        return lost

    def _frame(self, source: Source, picture: CapturedPicture, takers: frozenset[str]) -> Union[Frame, Wait]:
        frame = self._writer.frame(picture, source.fps, self._taken_ns, takers)
        if frame is None:
            return Wait(self._clock() + SLOT_WAIT_NS)
        self._picture = None
        if self._paced and source.fps > 0:  # decode the next one shortly before it is due, not while the detector is at work on this one
            self._not_before_ns = self._taken_ns + round(1e9 / source.fps) - DECODE_NS
        return frame


def run(config: Config, bus: Bus) -> None:
    """Pictures from `config.capture.source` to whoever takes frames."""
    loop = Loop(bus)
    loop.on_signals()
    settings = config.capture
    source, why_not = _first(settings, loop)
    every = [link.taker for link in bus.links if link.message is Frame and link.take is Take.EVERY]
    writer = FrameWriter(config.runtime_path(), settings.ring_slots, config.live, every, identity(settings))
    loop.outgoing.frames = writer.position.next_frame
    camera = is_live(settings.source)
    timeline, paced = writer.timeline(camera), config.live and not camera
    with closing(Capture(settings, writer, timeline, paced, lambda: open_source(settings), time.monotonic_ns)) as capture:
        capture.begin(source) if source else capture.wait_for_it(why_not)
        loop.meter.note = capture.note
        missing = loop.wait_for_takers(config.bus.wait_for_takers_s)
        if missing and not loop.control.stopping:
            log.warning("nobody takes the frames for %s yet; going on without", ", ".join(sorted(missing)))
        while True:  # one picture at least, also where the order to stop came while others were waited for
            done = capture.step(bus.takers())
            loop.meter.note = capture.note
            if done is None:
                loop.outgoing.notes += [capture.last_note] if capture.last_note else []
                break
            loop.outgoing.frames = writer.position.next_frame
            if isinstance(done, Frame):
                writer.release(done, loop.send(done))
            elif isinstance(done, Lost):
                loop.skip(done.reason, done.pictures)
            elif (wait_ns := done.until_ns - time.monotonic_ns()) > 0:
                time.sleep(min(wait_ns / 1e9, TURN_S))
            loop.turn()
            if loop.control.stopping:
                break
    if not loop.control.terminated:
        writer.finish()
    loop.end()


def _first(settings: CaptureConfig, loop: Loop) -> tuple[Optional[Source], str]:
    """The source, or why it is not there. A service waits for its camera, which after a power cut may come up later.

    Whoever starts it by hand is told at once: UserError.
    """
    try:
        return open_source(settings), ""
    except UserError as error:
        if not (loop.manager.here and is_live(settings.source)):
            raise
        return None, f"{error}; waiting for it"
