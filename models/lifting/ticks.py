"""The grid of ticks: measurements come when they come, the lifter's network knows one rate.

The grid starts at a stream's first measurement. All times are integers of nanoseconds and all ticks exact fractions, so a
stream of days drifts by nothing.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

NS_PER_S = 1_000_000_000
ON_TICK = Fraction(1, 4)
"""How far from a tick, in ticks, a measurement still lies on it."""


class Advance(NamedTuple):
    """What a measurement asks of the network: first commit the ticks between, then answer the measurement itself."""

    restart: bool
    """The past is over: this measurement starts a new grid, every state is to be reset."""
    between: tuple[float, ...]
    """Ticks that have passed since the last measurement, as parts of the way from it (0) to this one (1)."""
    on_tick: bool
    """The measurement lies on a tick and stands for it with its own keypoints, so that its answer belongs to its own time.

    Else it is only evaluated, and the state stays on the last tick.
    """


class TickGrid:
    """Ticks of `rate_hz` from a stream's first measurement on; a pause longer than `gap_ns` starts anew."""

    def __init__(self, rate_hz: Fraction, gap_ns: int) -> None:
        self._ticks_per_ns = rate_hz / NS_PER_S
        self._gap_ns = gap_ns
        self.restart()

    def restart(self) -> None:
        """Let the next measurement start a new grid."""
        self._anchor_ns = 0
        self._last_ns: int | None = None
        self._last_tick = 0

    def advance(self, t_ns: int) -> Advance:
        """What the measurement at `t_ns` asks for. Going back in time starts anew; an equal time is a second look at it."""
        last_ns, self._last_ns = self._last_ns, t_ns
        if last_ns is None or not 0 <= t_ns - last_ns <= self._gap_ns:
            self._anchor_ns, self._last_tick = t_ns, 0
            return Advance(restart=True, between=(), on_tick=True)

        position = self._position(t_ns)
        nearest = round(position)
        on_tick = abs(position - nearest) <= ON_TICK and nearest > self._last_tick
        passed = range(self._last_tick + 1, nearest if on_tick else math.floor(position) + 1)
        start = self._position(last_ns)
        between = tuple(float((tick - start) / (position - start)) for tick in passed)
        self._last_tick += len(passed) + on_tick
        return Advance(restart=False, between=between, on_tick=on_tick)

    def since_tick(self) -> float:
        """How long after the last tick the newest measurement was, in ticks; below 0 where it lies on that tick, a little early."""
        return 0.0 if self._last_ns is None else float(self._position(self._last_ns) - self._last_tick)

    def _position(self, t_ns: int) -> Fraction:
        return (t_ns - self._anchor_ns) * self._ticks_per_ns
