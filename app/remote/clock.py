"""How far the board's monotonic clock is from this machine's, from Pings and their Pongs.

The board read its clock somewhere between sending and receiving: taken for the middle, it is wrong by half of the round trip at most. So
the shortest round trip says most. Clocks drift apart meanwhile: an older one is trusted less.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Optional

DRIFT = 1e-4
"""How fast two clocks may drift apart, as a part of the time: quartz is good to 50 parts in a million, on either side."""
KEPT = 240


class Offset(NamedTuple):
    """What to add to this machine's monotonic clock to have the board's, ns, and how wrong that is at most."""

    offset_ns: int
    error_ns: int


class _Sample(NamedTuple):
    received_ns: int
    offset: Offset


class RemoteClock:
    """The board's clock as seen from here. Knows no clock itself: times are passed in, ns of this machine's monotonic clock."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, board_ns: int, received_ns: int) -> None:
        """A Ping was sent, answered when the board's clock showed `board_ns`, and the answer received."""
        round_trip_ns = received_ns - sent_ns
        if round_trip_ns >= 0:
            middle_ns = sent_ns + round_trip_ns // 2
            self._samples.append(_Sample(received_ns, Offset(board_ns - middle_ns, round_trip_ns // 2 + 1)))

    def offset(self, now_ns: int) -> Optional[Offset]:
        """The best estimate by now; None where there was no answer yet."""
        aged = [Offset(it.offset.offset_ns, it.offset.error_ns + int(DRIFT * (now_ns - it.received_ns))) for it in self._samples]
        return min(aged, key=lambda offset: offset.error_ns, default=None)
