"""The offset of the board's monotonic clock from this machine's, from Pings and Pongs (Cristian's algorithm, 1989).

The board reads its clock at some time between sending and receiving. Taken for the middle, it is wrong by at most half of the round trip,
so the shortest round trip is the most exact. The clocks drift apart, so the error of an older one grows.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Optional

DRIFT = 1e-4
"""The most that two clocks drift apart, as a fraction of the time: quartz is exact to 50 parts in a million, on either side."""
KEPT = 240
"""So many Pongs are kept: two minutes of them."""


class Offset(NamedTuple):
    """What to add to this machine's monotonic clock to get the board's, ns, and the largest error of that."""

    offset_ns: int
    error_ns: int


class _Sample(NamedTuple):
    received_ns: int
    offset: Offset


class RemoteClock:
    """Estimates the board's clock. All times are passed in, ns of this machine's monotonic clock unless stated otherwise."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, board_ns: int, received_ns: int) -> None:
        """A Pong was received for the Ping of `sent_ns`; it was sent when the board's clock showed `board_ns`."""
        round_trip_ns = received_ns - sent_ns
        if round_trip_ns >= 0:
            midpoint_ns = sent_ns + round_trip_ns // 2
            self._samples.append(_Sample(received_ns, Offset(board_ns - midpoint_ns, round_trip_ns // 2 + 1)))

    def offset(self, now_ns: int) -> Optional[Offset]:
        """The best estimate now; None before the first Pong."""
        aged = [Offset(it.offset.offset_ns, it.offset.error_ns + int(DRIFT * (now_ns - it.received_ns))) for it in self._samples]
        return min(aged, key=lambda offset: offset.error_ns, default=None)
