"""The measures of `make accuracy`, on poses whose errors are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.accuracy.measures import (
    Shifts,
    frames_until_back,
    joint_errors_mm,
    scaled_errors_mm,
    share_within,
    shifted,
    tremble_mm,
)


def walking(times_s):
    """Joints [T, 17, 3] that swing about fixed places, each in its own way; the root stays at the origin."""
    rng = np.random.default_rng(0)
    place, swing, phase = rng.normal(0, 0.5, (17, 3)), rng.normal(0, 0.2, (17, 3)), rng.uniform(0, 6, (17, 3))
    joints = place + swing * np.sin(5 * np.asarray(times_s)[:, None, None] + phase)
    return joints - joints[:, :1]


TRUTH = walking(np.arange(90) / 30)


def test_a_perfect_prediction_has_no_error():
    assert joint_errors_mm(TRUTH, TRUTH).max() == 0
    assert scaled_errors_mm(TRUTH, TRUTH).max() < 1e-9


def test_an_offset_is_counted_joint_by_joint_in_millimetres():
    off = TRUTH.copy()
    off[:, 3] += [0.003, 0.004, 0.012]
    errors = joint_errors_mm(TRUTH, off)
    assert errors[:, 3] == pytest.approx(13)
    assert np.delete(errors, 3, 1).max() == 0


def test_a_wrong_size_costs_nothing_after_the_best_scale():
    assert joint_errors_mm(TRUTH, 1.3 * TRUTH).mean() == pytest.approx(0.3 * 1000 * np.linalg.norm(TRUTH, axis=-1).mean())
    assert scaled_errors_mm(TRUTH, 1.3 * TRUTH).max() < 1e-9


def test_the_best_scale_is_better_than_its_neighbours():
    rng = np.random.default_rng(1)
    noisy = TRUTH + rng.normal(0, 0.05, TRUTH.shape)
    best = np.square(scaled_errors_mm(TRUTH, noisy)).sum(-1)
    for scale in (0.5, 0.9, 0.99, 1.01, 1.1):
        assert (best <= np.square(joint_errors_mm(TRUTH, scale * noisy)).sum(-1) + 1e-6).all()


@pytest.mark.parametrize("lag_s", [-0.03, 0.0, 0.025, 0.05])
def test_a_constant_lag_is_found_whatever_the_rate(lag_s):
    shifts_s = np.arange(-10, 11) / 100
    for rate_hz in (24, 60):
        times_s = np.arange(4 * rate_hz) / rate_hz
        sums, frames = shifted(walking, times_s, walking(times_s - lag_s), shifts_s)
        assert frames == np.sum((times_s >= 0.1) & (times_s <= times_s[-1] - 0.1))
        assert Shifts(shifts_s, sums / frames).delay_s == pytest.approx(lag_s, abs=0.002)


def test_a_lag_beyond_the_shifts_is_told_as_at_their_end():
    shifts_s = np.arange(-2, 3) / 10
    assert Shifts(shifts_s, np.array([9.0, 7, 5, 3, 1])).delay_s >= 0.1


def test_back_means_for_good():
    assert frames_until_back([1.0, 1.05, 1.0], 1.1) == 1
    assert frames_until_back([1.5, 1.2, 1.05, 1.0], 1.1) == 3
    assert frames_until_back([1.5, 1.0, 1.3, 1.0], 1.1) == 4
    assert frames_until_back([1.5, 1.0, 1.3], 1.1) is None


def test_trembling_is_the_spread_in_all_directions_about_the_mean_place():
    rng = np.random.default_rng(2)
    still = np.tile(TRUTH[:1], (20_000, 1, 1))
    still[:, 5] += rng.normal(0, (0.003, 0.004, 0.012), (20_000, 3))
    found = tremble_mm(still)
    assert found[5] == pytest.approx(13, rel=0.02)
    assert np.delete(found, 5).max() < 1e-9
    assert tremble_mm(np.stack([still, still[::-1]])).shape == (2, 17)


def test_true_sigmas_hold_what_a_normal_distribution_says():
    rng = np.random.default_rng(3)
    sigmas = rng.uniform(0.01, 0.2, (5000, 16, 3))
    errors = rng.normal(0, sigmas)
    assert share_within(errors, sigmas, [1, 2, 3]) == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.003)
    assert share_within(errors, sigmas / 2, [1])[0] == pytest.approx(0.3829, abs=0.003)
