"""Smoothing of values over time."""

from __future__ import annotations

from math import pi
from typing import Optional

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


class OneEuro:
    """The 1-euro filter: a low-pass filter whose cutoff frequency rises with speed, so rest is steady and motion does not lag.

    Casiez, Roussel, Vogel: "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012.
    cutoff = `min_cutoff_hz` + `beta` * |smoothed speed|; the speed is smoothed with `speed_cutoff_hz`.
    """

    def __init__(self, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._speed_cutoff_hz = speed_cutoff_hz
        self._raw: Optional[Values] = None

    def step(self, value: Values, dt_s: float, unit: float = 1.0) -> Values:
        """`value` smoothed; `dt_s` > 0 is the time since the step before (the first step has none, and returns its value).

        Speed is measured in `unit`s per second: with the object's size as unit, a near and a far one are smoothed alike.
        """
        if self._raw is None:
            self._speed: Values = np.zeros_like(value)
            self._smooth = value
        else:
            speed = (value - self._raw) / (unit * dt_s)
            self._speed = self._speed + _weight(np.asarray(self._speed_cutoff_hz), dt_s) * (speed - self._speed)
            cutoff_hz = self._min_cutoff_hz + self._beta * np.abs(self._speed)
            self._smooth = self._smooth + _weight(cutoff_hz, dt_s) * (value - self._smooth)
        self._raw = value
        return self._smooth


def _weight(cutoff_hz: Values, dt_s: float) -> Values:
    """The new value's share in a first-order low-pass filter."""
    turn: Values = 2 * pi * cutoff_hz * dt_s
    return turn / (turn + 1)
