"""The poses of a pipeline, as an iterator; a thread reads them, so that the program may be slow."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Optional

from poselift.app.dataflow.messages import End, Pose3D
from poselift.app.dataflow.session import Session
from poselift.app.program.pipelines import Pipeline
from poselift.app.program.pose_queue import PoseQueue
from poselift.common.errors import UserError

POLL_S = 0.1
"""How often the reader looks whether it is to stop."""
CLOSE_TIMEOUT_S = 5.0


class Poses(Iterator[Pose3D]):
    """The poses of a pipeline, as they arrive: what `poselift.connect` returns. See there when it ends and what it raises.

    A thread reads them, so that a program gets the newest pose however long it was busy. Close it with `close` or use it in a `with`; it
    closes itself when it is garbage. A forked process cannot use it.
    """

    def __init__(self, pipeline: Pipeline, every: bool, wait: bool) -> None:
        reader = _Reader(pipeline, PoseQueue(every), wait)
        self._reader = reader
        self._closing = weakref.finalize(self, reader.close)
        reader.start()

    def __next__(self) -> Pose3D:
        return self._reader.next()

    def close(self) -> None:
        """Disconnect; the loop ends. It may be called again."""
        self._closing()

    def __enter__(self) -> Poses:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()


class _Reader(threading.Thread):
    """Reads the pipeline. It holds no reference to the Poses, so that they can become garbage while it runs."""

    def __init__(self, pipeline: Pipeline, queue: PoseQueue, wait: bool) -> None:
        super().__init__(name="poselift", daemon=True)
        self._pipeline, self._queue, self._wait = pipeline, queue, wait
        self._changed = threading.Condition()
        self._stopping = self._ended = False
        self._error: Optional[BaseException] = None
        self._polled_s = time.monotonic()
        self._session: Optional[Session] = None

    def run(self) -> None:
        try:
            while not (self._stopping or self._ended):
                self._poll()
        except Exception as error:
            self._error = error
        finally:
            self._pipeline.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def next(self) -> Pose3D:
        """The next pose; waits until there is one."""
        if not (self._ended or self.is_alive()):
            raise UserError("these poses belong to the process that connected; call poselift.connect in this one, too")
        with self._changed:
            # If the program held the GIL for long, or was stopped, the reader first has to read what is newer.
            self._changed.wait_for(lambda: self._ended or time.monotonic() - self._polled_s < 5 * POLL_S)
            while (pose := self._queue.take()) is None:
                if self._error:
                    raise self._error
                if self._ended:
                    raise StopIteration
                self._changed.wait()
            return pose

    def close(self) -> None:
        """Stop the thread, which closes the sockets."""
        self._stopping = True
        if threading.current_thread() is not self:  # garbage may be collected in any thread
            self.join(CLOSE_TIMEOUT_S)

    def _poll(self) -> None:
        messages = list(self._pipeline.receive(POLL_S))
        while not self._stopping and (more := self._pipeline.receive(0)):  # what waits is newer: read all of it first
            messages += more
        outage = "" if messages or self._wait else self._pipeline.outage()
        with self._changed:
            self._polled_s = time.monotonic()
            for message in messages:
                self._take(message)
            self._changed.notify_all()
        if outage:
            raise UserError(f"{outage}; connect(..., wait=True) waits until one runs again")

    def _take(self, message: object) -> None:
        if isinstance(message, Pose3D):
            last = self._queue.last
            if last is None or last.incarnation != message.incarnation:  # another lifter, and perhaps another pipeline
                before, self._session = self._session, self._pipeline.session()
                if last and self._session != before:
                    if not self._wait:
                        raise UserError("the pipeline has begun anew without having ended: it was killed, or has crashed")
                    self._queue.reset()
            self._queue.put(message)
        elif isinstance(message, End):
            self._queue.reset()
            if message.broken and not self._wait:
                raise UserError(f"the pipeline has broken off: {message.broken} died again and again")
            self._ended = not self._wait
