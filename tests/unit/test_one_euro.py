"""The 1-euro filter against its paper's formulas, written with plain numbers."""

from __future__ import annotations

import math

import numpy as np

from models.detection.filters import OneEuro


def alpha(cutoff_hz: float, dt_s: float) -> float:
    """The paper's smoothing factor: 1 / (1 + tau / Te), tau = 1 / (2 pi fc)."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz) / dt_s)


def test_filter_follows_the_papers_formulas():
    random = np.random.default_rng(0)
    values, times_s = random.normal(size=20), random.uniform(0.01, 0.1, 20)
    filter_ = OneEuro(min_cutoff_hz=0.5, beta=2.0, speed_cutoff_hz=1.5)
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
        result = filter_.step(np.array([value, -value]), dt_s, unit=3.0)
        np.testing.assert_allclose(result, [smooth, -smooth], rtol=1e-12)


def test_rest_is_steady_and_fast_motion_does_not_lag():
    still, moving = OneEuro(0.05, 10.0, 1.0), OneEuro(0.05, 10.0, 1.0)
    noise = np.random.default_rng(0).normal(0, 0.001, 200)
    steady = [float(still.step(np.array([value]), 1 / 30)[0]) for value in noise]
    assert np.std(steady[50:]) < 0.3 * np.std(noise[50:])
    for frame in range(60):
        last = moving.step(np.array([frame / 3]), 1 / 30)
    assert abs(last[0] - 59 / 3) < 0.02
