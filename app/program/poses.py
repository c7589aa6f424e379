"""The poses of a pipeline, as an iterator that a program may ask as slowly as it likes."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Optional

from poselift.app.dataflow.messages import End, Pose3D
from poselift.app.dataflow.session import Session
from poselift.app.program.kept import Kept
from poselift.app.program.sources import Source
from poselift.common.errors import UserError

TURN_S = 0.1
"""The reader looks so often whether it is to leave."""
CLOSE_WITHIN_S = 5.0


class Poses(Iterator[Pose3D]):
    """The poses, as they come. What `poselift.connect` gives; see there when it ends and what it raises.

    A thread of its own takes them from the pipeline, so a program that is busy gets the newest when it asks, however long it was. Close it
    by `close`, or use it in a `with`; it closes itself where nobody holds it any more. It does not go along into a forked process.
    """

    def __init__(self, source: Source, every: bool, wait: bool) -> None:
        reader = _Reader(source, Kept(every), wait)
        self._reader = reader
        self._closing = weakref.finalize(self, reader.close)
        reader.start()

    def __next__(self) -> Pose3D:
        return self._reader.next()

    def close(self) -> None:
        """Disconnect; the loop ends. May be called again."""
        self._closing()

    def __enter__(self) -> Poses:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()


class _Reader(threading.Thread):
    """Takes what comes, and knows how it ended. It does not know the Poses: they are to be let go while it runs."""

    def __init__(self, source: Source, kept: Kept, wait: bool) -> None:
        super().__init__(name="poselift", daemon=True)
        self._source, self._kept, self._wait = source, kept, wait
        self._changed = threading.Condition()
        self._leave = self._ended = False
        self._error: Optional[BaseException] = None
        self._looked_s = time.monotonic()
        self._session: Optional[Session] = None

    def run(self) -> None:
        try:
            while not (self._leave or self._ended):
                self._turn()
        except Exception as error:
            self._error = error
        finally:
            self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def next(self) -> Pose3D:
        """The next pose; waits for it."""
        if not (self._ended or self.is_alive()):
            raise UserError("these poses belong to the process that connected; call poselift.connect in this one, too")
        with self._changed:
            # A program that kept Python to itself, or was stopped, is given nothing before the reader has looked again.
            self._changed.wait_for(lambda: self._ended or time.monotonic() - self._looked_s < 5 * TURN_S)
            while (pose := self._kept.take()) is None:
                if self._error:
                    raise self._error
                if self._ended:
                    raise StopIteration
                self._changed.wait()
            return pose

    def close(self) -> None:
        """Leave, and let go of the sockets."""
        self._leave = True
        if threading.current_thread() is not self:  # which may be the one that collects the garbage
            self.join(CLOSE_WITHIN_S)

    def _turn(self) -> None:
        messages = list(self._source.receive(TURN_S))
        while not self._leave and (more := self._source.receive(0)):  # the program is given nothing old as long as something newer waits
            messages += more
        gone = "" if messages or self._wait else self._source.gone()
        with self._changed:
            self._looked_s = time.monotonic()
            for message in messages:
                self._take(message)
            self._changed.notify_all()
        if gone:
            raise UserError(f"{gone}; connect(..., wait=True) waits until one runs again")

    def _take(self, message: object) -> None:
        if isinstance(message, Pose3D):
            last = self._kept.last
            if last is None or last.incarnation != message.incarnation:  # another lifter, and perhaps another of everything
                before, self._session = self._session, self._source.session()
                if last and self._session != before:
                    if not self._wait:
                        raise UserError("the pipeline has begun anew without having ended: it was killed, or has crashed")
                    self._kept.begin_anew()
            self._kept.put(message)
        elif isinstance(message, End):
            self._kept.begin_anew()
            if message.broken and not self._wait:
                raise UserError(f"the pipeline has broken off: {message.broken} died again and again")
            self._ended = not self._wait
