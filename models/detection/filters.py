"""Smoothing of values over time."""

from __future__ import annotations

from math import pi
from typing import NamedTuple, Optional

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


class Smoothed(NamedTuple):
    """What a filter remembers of a signal: its last value, that value smoothed, and the smoothed speed."""

    raw: Values
    smooth: Values
    speed: Values
    """In units of the signal's object a second, whatever the values' own unit."""

    def scaled(self, factor: float, shift: float) -> Smoothed:
        """The same of a signal that is so many times as large, and shifted."""
        return Smoothed(factor * self.raw + shift, factor * self.smooth + shift, self.speed)


class OneEuro(NamedTuple):
    """The 1-euro filter: a low-pass filter whose cutoff frequency rises with speed, so rest is steady and motion does not lag.

    Casiez, Roussel, Vogel: "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012.
    cutoff = `min_cutoff_hz` + `beta` * |smoothed speed|; the speed is smoothed with `speed_cutoff_hz`.
    """

    min_cutoff_hz: float
    beta: float
    speed_cutoff_hz: float

    def step(self, before: Optional[Smoothed], value: Values, dt_s: float, unit: float = 1.0) -> Smoothed:
        """`value` and what was `before` it, smoothed; `dt_s` > 0 is the time between the two. The first value has none before it.

        Speed is measured in `unit`s per second: with the object's size as unit, a near and a far one are smoothed alike.
        """
        if before is None:
            return Smoothed(value, value, np.zeros_like(value))
        speed = (value - before.raw) / (unit * dt_s)
        speed = before.speed + _weight(np.asarray(self.speed_cutoff_hz), dt_s) * (speed - before.speed)
        cutoff_hz = self.min_cutoff_hz + self.beta * np.abs(speed)
        return Smoothed(value, before.smooth + _weight(cutoff_hz, dt_s) * (value - before.smooth), speed)


def _weight(cutoff_hz: Values, dt_s: float) -> Values:
    """The new value's share in a first-order low-pass filter."""
    turn: Values = 2 * pi * cutoff_hz * dt_s
    return turn / (turn + 1)
