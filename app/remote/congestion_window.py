"""How many bytes may be on their way to one viewer. What is sent cannot be taken back, so what waits on a slow link arrives old.

The window grows while it is what limits sending, and shrinks when messages queue on the way: when they take longer to be acknowledged than
the fastest one did. (TCP Vegas controls congestion by delay in the same way: Brakmo and Peterson, 1995.) So a pose on a slow link is a
fraction of a second old, however much the buffers on the way can hold.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MIN_BYTES, START_BYTES, MAX_BYTES = 4 << 10, 16 << 10, 256 << 10
MAX_QUEUEING_NS = 80_000_000
"""With a longer delay the window shrinks; with less than half of it, it may grow. Viewers look for messages every 20 to 50 ms."""


class _Sent(NamedTuple):
    size_bytes: int
    sent_ns: int


class CongestionWindow:
    """The messages in flight to one viewer, counted from its Welcome on. Times are ns of the board's monotonic clock."""

    def __init__(self) -> None:
        self.size_bytes = START_BYTES
        self.sent = 0
        """Messages sent so far."""
        self._in_flight: deque[_Sent] = deque()
        self._in_flight_bytes = 0
        self._fastest_ns = 0
        self._shrunk_ns = 0
        self._was_full = False

    @property
    def empty(self) -> bool:
        """Whether every message has been acknowledged."""
        return not self._in_flight

    def has_room(self) -> bool:
        """Whether another message may be sent."""
        room = self._in_flight_bytes < self.size_bytes
        self._was_full = self._was_full or not room
        return room

    def sent_one(self, size_bytes: int, now_ns: int) -> None:
        """A message was sent."""
        self.sent += 1
        self._in_flight.append(_Sent(size_bytes, now_ns))
        self._in_flight_bytes += size_bytes

    def acknowledge(self, messages: int, now_ns: int) -> None:
        """The viewer has received so many messages since its Welcome. A number that is impossible is ignored."""
        count = messages - (self.sent - len(self._in_flight))
        if not 0 < count <= len(self._in_flight):
            return
        arrived = [self._in_flight.popleft() for _ in range(count)]
        arrived_bytes = sum(it.size_bytes for it in arrived)
        self._in_flight_bytes -= arrived_bytes
        self._adapt(arrived[-1].sent_ns, arrived_bytes, now_ns)

    def _adapt(self, sent_ns: int, arrived_bytes: int, now_ns: int) -> None:
        took_ns = now_ns - sent_ns
        if not self._fastest_ns or took_ns < self._fastest_ns:
            self._fastest_ns = took_ns
        elif self.size_bytes == MIN_BYTES:  # hardly anything is in flight, so nothing queues: the link itself has become slower
            self._fastest_ns += (took_ns - self._fastest_ns) // 8
        queueing_ns = took_ns - self._fastest_ns
        if queueing_ns > MAX_QUEUEING_NS and sent_ns >= self._shrunk_ns:
            self.size_bytes, self._shrunk_ns = max(MIN_BYTES, self.size_bytes * 3 // 4), now_ns
        elif queueing_ns < MAX_QUEUEING_NS // 2 and self._was_full:
            self.size_bytes = min(MAX_BYTES, self.size_bytes + arrived_bytes)
        self._was_full = False
