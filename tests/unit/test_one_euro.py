"""The 1-euro filter against its paper's formulas, written with plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from poselift.models.detection.filters import OneEuro


def alpha(cutoff_hz: float, dt_s: float) -> float:
    """The paper's smoothing factor: 1 / (1 + tau / Te), tau = 1 / (2 pi fc)."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz) / dt_s)


def test_filter_follows_the_papers_formulas():
    random = np.random.default_rng(0)
    values, times_s = random.normal(size=20), random.uniform(0.01, 0.1, 20)
    filter_, smoothed = OneEuro(min_cutoff_hz=0.5, beta=2.0, speed_cutoff_hz=1.5), None
    raw = smooth = speed = None
    for value, dt_s in zip(values, times_s):
        if raw is None:
            smooth, speed = value, 0.0
        else:
            a = alpha(1.5, dt_s)
            speed = a * (value - raw) / dt_s / 3.0 + (1 - a) * speed
            a = alpha(0.5 + 2.0 * abs(speed), dt_s)
            smooth = a * value + (1 - a) * smooth
        raw = value
        smoothed = filter_.step(smoothed, np.array([value, -value]), dt_s, unit=3.0)
        np.testing.assert_allclose(smoothed.smooth, [smooth, -smooth], rtol=1e-12)


def smoothed(values: Iterable[float]) -> list[float]:
    """The values, 30 a second, as a filter smooths them."""
    filter_, before, answers = OneEuro(0.05, 10.0, 1.0), None, []
    for value in values:
        before = filter_.step(before, np.array([value]), 1 / 30)
        answers.append(float(before.smooth[0]))
    return answers


def test_rest_is_steady_and_fast_motion_does_not_lag():
    noise = np.random.default_rng(0).normal(0, 0.001, 200)
    assert np.std(smoothed(noise)[50:]) < 0.3 * np.std(noise[50:])
    assert abs(smoothed(frame / 3 for frame in range(60))[-1] - 59 / 3) < 0.02
