"""Which frames viewers are shown, and when. No socket, no clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Optional

from poselift.app.dataflow.messages import Frame

EARLY_NS = 12_000_000
"""A frame may be taken so much too early: the next one, at 30 a second, would be later than this one is early."""
MAX_WAIT_NS = 100_000_000
"""A frame without a pose is shown after this time: its pose is late, or never comes."""


class FramePacer:
    """Takes one frame an interval, on a regular grid, although frames arrive a little early or late."""

    def __init__(self, interval_ns: float) -> None:
        self._interval_ns, self._due_ns = interval_ns, 0.0

    def takes(self, now_ns: int) -> bool:
        """Whether to take the frame that has arrived now."""
        earliest_ns = now_ns + EARLY_NS
        if self._due_ns > earliest_ns:
            return False
        next_ns = self._due_ns + self._interval_ns
        self._due_ns = next_ns if next_ns > earliest_ns else now_ns + self._interval_ns
        return True


class _Pending(NamedTuple):
    frame: Frame
    since_ns: int


class PendingFrames:
    """Holds frames until their poses have arrived: compressing them earlier would take a core from the workers that compute the poses."""

    def __init__(self, most: int) -> None:
        """At most `most` frames wait; older ones may soon be overwritten in the ring."""
        self._pending: deque[_Pending] = deque()
        self._most = most
        self._posed = -1

    def put(self, frame: Frame, now_ns: int) -> None:
        """A frame has arrived."""
        self._pending.append(_Pending(frame, now_ns))

    def posed(self, frame: int) -> None:
        """The pose of this frame has arrived; earlier frames have theirs, or never get one."""
        self._posed = frame

    def take(self, now_ns: int) -> Optional[Frame]:
        """The newest frame that need not wait any longer, or None. Older ones are skipped."""
        found = None
        while self._pending and self._is_due(self._pending[0], now_ns):
            found = self._pending.popleft().frame
        return found

    def _is_due(self, it: _Pending, now_ns: int) -> bool:
        return it.frame.frame <= self._posed or now_ns - it.since_ns > MAX_WAIT_NS or len(self._pending) > self._most
