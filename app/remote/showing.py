"""Which frame viewers are shown next. No socket, no clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Optional

from poselift.app.dataflow.messages import Frame

WAIT_NS = 100_000_000
"""A frame that has no pose after so long has none, or one that is late: it is shown without."""


class _Waiting(NamedTuple):
    frame: Frame
    since_ns: int


class Showing:
    """Holds frames until their poses have come: to compress them sooner would take a core from those who compute the poses."""

    def __init__(self, most: int) -> None:
        """`most`: so many frames wait; older ones may be overwritten in the ring soon."""
        self._waiting: deque[_Waiting] = deque()
        self._most = most
        self._posed = -1

    def put(self, frame: Frame, now_ns: int) -> None:
        """A frame has come."""
        self._waiting.append(_Waiting(frame, now_ns))

    def posed(self, frame: int) -> None:
        """The pose of a frame has come; those before it have theirs, or never get one."""
        self._posed = frame

    def take(self, now_ns: int) -> Optional[Frame]:
        """The newest frame that waits no longer; None where there is none. Those before it are left out."""
        found = None
        while self._waiting and self._is_due(self._waiting[0], now_ns):
            found = self._waiting.popleft().frame
        return found

    def _is_due(self, it: _Waiting, now_ns: int) -> bool:
        return it.frame.frame <= self._posed or now_ns - it.since_ns > WAIT_NS or len(self._waiting) > self._most
