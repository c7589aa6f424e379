"""Streams, and the work that was put into them.

Work is done as late as the API allows: when somebody waits for its stream. Until then its outputs are garbage, and it will read its
inputs as they are then. So a program that does not wait, or changes an input too early, fails every time and not only now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from acl_simulator import codes
from acl_simulator.errors import AclError
from acl_simulator.handles import Handles

if TYPE_CHECKING:
    from acl_simulator.npu import Npu


class Span(NamedTuple):
    """Bytes in memory."""

    address: int
    size: int

    def meets(self, other: Span) -> bool:
        return self.address < other.address + other.size and other.address < self.address + self.size


@dataclass(frozen=True)
class Work:
    """An execution or a copy that is not done yet."""

    do: Callable[[], None]
    reads: tuple[Span, ...]
    writes: tuple[Span, ...]
    handles: tuple[int, ...] = ()
    """The datasets and data buffers that it was given."""
    model_id: int = 0
    model: str | None = None
    thread: int = field(default_factory=threading.get_ident)


class Flight:
    """All work that is not done yet, of all streams."""

    def __init__(self) -> None:
        self._work: list[Work] = []

    def start(self, work: Work) -> None:
        self._work.append(work)

    def land(self, work: Work) -> None:
        self._work = [other for other in self._work if other is not work]

    def reads(self, address: int, count: int) -> bool:
        return any(span.meets(Span(address, count)) for work in self._work for span in work.reads)

    def writes(self, address: int, count: int) -> bool:
        return any(span.meets(Span(address, count)) for work in self._work for span in work.writes)

    def uses(self, address: int, count: int) -> bool:
        return self.reads(address, count) or self.writes(address, count)

    def has(self, handle: int) -> bool:
        """Whether a dataset or data buffer is in use."""
        return any(handle in work.handles for work in self._work)

    def threads(self, model_id: int) -> set[int]:
        """Those that have this model at work."""
        return {work.thread for work in self._work if work.model_id == model_id}


@dataclass
class Stream:
    context: int
    waiting: threading.Lock = field(default_factory=threading.Lock)
    work: list[Work] = field(default_factory=list)


class Streams:
    """All streams."""

    def __init__(self, npu: Npu) -> None:
        self._npu = npu
        self._streams: Handles[Stream] = Handles(npu.report, "stream")

    def create(self) -> int:
        return self._streams.add(Stream(self._npu.contexts.current()))

    def destroy(self, handle: int) -> None:
        stream = self._streams.find(handle, codes.INVALID_HANDLE)
        if stream.work:
            self._npu.report.violation("rt.destroy_stream with work in it that nobody waited for")
            self._drop(stream)
        self._streams.remove(handle, codes.INVALID_HANDLE)

    def in_context(self, context: int) -> bool:
        return any(stream.context == context for stream in self._streams)

    def check(self, handle: int) -> Stream:
        """The stream, if it is the current context's."""
        stream = self._streams.find(handle, codes.INVALID_HANDLE)
        if stream.context != self._npu.contexts.current():
            raise AclError(codes.STREAM_CONTEXT)
        return stream

    def put(self, handle: int, work: Work) -> None:
        self.check(handle).work.append(work)
        self._npu.flight.start(work)

    def synchronize(self, handle: int) -> None:
        """Do the stream's work and come back. Called without the lock, so that other threads go on."""
        with self._npu.lock:
            stream = self.check(handle)
        with stream.waiting:
            try:
                for model in [work.model for work in stream.work if work.model] or [None]:
                    self._npu.faults.strike("rt.synchronize_stream", model)
                while stream.work and not self._npu.away:
                    stream.work[0].do()
                    with self._npu.lock:
                        self._npu.flight.land(stream.work.pop(0))
            except AclError:
                self._drop(stream)
                raise
            if self._npu.away:
                self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        with self._npu.lock:
            for work in stream.work:
                self._npu.flight.land(work)
            stream.work.clear()
