"""How much may be on its way to one viewer. What is sent cannot be taken back, so what waits on a slow link would be seen late.

The window grows while it is the window that holds us up, and shrinks when messages wait on the way: when they take longer to be
acknowledged than the fastest did. So a pose on a slow link is a fraction of a second old, whatever the buffers between hold.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MIN_BYTES, START_BYTES, MAX_BYTES = 4 << 10, 16 << 10, 256 << 10
WAITS_NS = 80_000_000
"""More than this on the way, and the window shrinks; less than half, and it may grow. Viewers look for messages every 20 to 50 ms."""


class _Sent(NamedTuple):
    size_bytes: int
    sent_ns: int


class Window:
    """What is on its way to one viewer, counted from its Welcome on."""

    def __init__(self) -> None:
        self.size_bytes = START_BYTES
        self.sent = 0
        """Messages so far."""
        self._under_way: deque[_Sent] = deque()
        self._under_way_bytes = 0
        self._fastest_ns = 0
        self._shrunk_ns = 0
        self._held_up = False

    @property
    def empty(self) -> bool:
        """Whether everything has arrived."""
        return not self._under_way

    def room(self) -> bool:
        """Whether one more message may be sent."""
        room = self._under_way_bytes < self.size_bytes
        self._held_up = self._held_up or not room
        return room

    def put(self, size_bytes: int, now_ns: int) -> None:
        """A message was sent."""
        self.sent += 1
        self._under_way.append(_Sent(size_bytes, now_ns))
        self._under_way_bytes += size_bytes

    def taken(self, messages: int, now_ns: int) -> None:
        """The viewer has so many messages by now. A number that cannot be is not believed."""
        count = messages - (self.sent - len(self._under_way))
        if not 0 < count <= len(self._under_way):
            return
        gone = [self._under_way.popleft() for _ in range(count)]
        gone_bytes = sum(it.size_bytes for it in gone)
        self._under_way_bytes -= gone_bytes
        self._adapt(gone[-1].sent_ns, gone_bytes, now_ns)

    def _adapt(self, sent_ns: int, gone_bytes: int, now_ns: int) -> None:
        took_ns = now_ns - sent_ns
        if not self._fastest_ns or took_ns < self._fastest_ns:
            self._fastest_ns = took_ns
        elif self.size_bytes == MIN_BYTES:  # nothing waits long: this is how the link is by now
            self._fastest_ns += (took_ns - self._fastest_ns) // 8
        waits_ns = took_ns - self._fastest_ns
        if waits_ns > WAITS_NS and sent_ns >= self._shrunk_ns:
            self.size_bytes, self._shrunk_ns = max(MIN_BYTES, self.size_bytes * 3 // 4), now_ns
        elif waits_ns < WAITS_NS // 2 and self._held_up:
            self.size_bytes = min(MAX_BYTES, self.size_bytes + gone_bytes)
        self._held_up = False
