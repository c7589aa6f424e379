"""Who stands still is shown standing still; who moves is shown as they move, without delay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from poselift.common.arrays import Floats
from poselift.models.lifting.steady import KNOWN_S, LONGEST_S, Steady

SIZE_PX = 500.0
JITTER = 0.008
"""White and slow error of the keypoints, in body sizes."""


def standing(rng: np.random.Generator) -> Floats:
    """Keypoints [17, 2] somewhere in a body of that size, the first and the last at its ends."""
    points = rng.uniform(0, SIZE_PX, (17, 2))
    points[0], points[16] = (SIZE_PX / 2, 0), (SIZE_PX / 2, SIZE_PX)
    return points.astype(np.float32)


def detected(rng: np.random.Generator, points: Floats, knot: int = 6) -> Floats:
    """[T, 17, 3]: as a detector that jitters sees them; its slow errors run in lines between random knots."""
    count = len(points)
    knots = rng.normal(size=(count // knot + 2, 17, 2))
    at = np.arange(count) / knot
    low = at.astype(int)
    part = (at - low)[:, None, None]
    slow = knots[low] * (1 - part) + knots[low + 1] * part
    error = JITTER * SIZE_PX * (rng.normal(size=points.shape) + slow)
    return np.concatenate([points + error, np.ones((count, 17, 1))], -1).astype(np.float32)


def shown(keypoints: Floats, joints_m: Floats, times_s: npt.ArrayLike) -> Floats:
    steady = Steady()
    return np.array([steady.step(round(t * 1e9), *frame) for t, *frame in zip(np.asarray(times_s), keypoints, joints_m)])


def jitter_of(joints_m: Floats) -> float:
    return float(np.sqrt(np.square(joints_m - joints_m.mean(0)).sum(-1).mean()))


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_a_still_person_jitters_far_less(fps: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        times = np.arange(3 * fps) / fps
        keypoints = detected(rng, np.broadcast_to(standing(rng), (len(times), 17, 2)), knot=fps // 5)
        joints_m = (keypoints - keypoints.mean(0)) * 0.003
        before, after = (jitter_of(joints[fps:]) for joints in (joints_m, shown(keypoints, joints_m, times)))
        assert after < before / 5


def test_who_moves_is_shown_as_the_network_has_them() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(150) / 30
    swing = SIZE_PX * 0.3 * np.sin(2 * np.pi * times[:, None, None] * rng.uniform(0.4, 1, (17, 2)))
    keypoints = detected(rng, standing(rng) + swing)
    joints_m = rng.normal(size=(150, 17, 3)).astype(np.float32)
    np.testing.assert_allclose(shown(keypoints, joints_m, times), joints_m, atol=1e-6)


def test_one_arm_is_enough_to_move() -> None:
    rng = np.random.default_rng(1)
    times = np.arange(240) / 30
    points = np.repeat(standing(rng)[None], 240, 0)
    points[120:, [7, 9], 0] += SIZE_PX * 0.4 * np.sin(4 * (times[120:, None] - times[120]))
    joints_m = rng.normal(size=(240, 17, 3)).astype(np.float32)
    after = shown(detected(rng, points), joints_m, times)
    assert np.abs(after[126:] - joints_m[126:]).mean() < 0.1
    assert np.abs(after[60:118] - joints_m[60:118]).mean() > 0.5  # until then it was held


def test_a_slow_change_is_followed() -> None:
    rng = np.random.default_rng(2)
    times = np.arange(600) / 30
    drift = 0.05 * SIZE_PX * times[:, None, None] / times[-1] * np.ones((1, 17, 2))
    keypoints = detected(rng, standing(rng) + drift)
    joints_m = np.repeat((times / times[-1])[:, None, None], 17, 1).repeat(3, 2).astype(np.float32)
    after = shown(keypoints, joints_m, times)
    lag_s = (joints_m - after)[300:].max() * times[-1]
    assert 0 < lag_s < 2 * LONGEST_S


def test_nothing_is_held_before_the_jitter_is_known() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(30) / 30
    keypoints = detected(rng, np.broadcast_to(standing(rng), (30, 17, 2)))
    joints_m = rng.normal(size=(30, 17, 3)).astype(np.float32)
    after = shown(keypoints, joints_m, times)
    early = times <= KNOWN_S
    np.testing.assert_array_equal(after[early], joints_m[early])
    assert not np.allclose(after[-1], joints_m[-1])


def test_the_jitter_is_measured_as_it_is() -> None:
    """At any rate, with jittered times, and while the body moves evenly: only what lies off the line counts."""
    rng = np.random.default_rng(4)
    for fps in (24, 60):
        times = np.arange(600) / fps + rng.uniform(-0.2, 0.2, 600) / fps
        steady = Steady()
        for t in times:
            points = standing(np.random.default_rng(9)) + SIZE_PX * t
            points = points + JITTER * SIZE_PX * rng.normal(size=(17, 2))
            keypoints = np.concatenate([points, np.ones((17, 1))], 1).astype(np.float32)
            steady.step(round(t * 1e9), keypoints, np.zeros((17, 3), np.float32))
        assert steady._jitter == pytest.approx(JITTER, rel=0.2)


def test_missing_keypoints_take_no_part() -> None:
    rng = np.random.default_rng(5)
    times = np.arange(120) / 30
    keypoints = detected(rng, np.broadcast_to(standing(rng), (120, 17, 2)))
    keypoints[60:, 9:11] = (5e4, -3e4, 0)
    joints_m = rng.normal(size=(120, 17, 3)).astype(np.float32)
    after = shown(keypoints, joints_m, times)
    assert np.abs(after[61:] - joints_m[61:]).mean() > 0.5  # still held
    keypoints[90:, :, 2] = 0
    after = shown(keypoints, joints_m, times)
    np.testing.assert_array_equal(after[90:], joints_m[90:])  # nothing is known of who is not seen
    assert np.isfinite(after).all()


def test_a_single_keypoint_and_equal_times_do_no_harm() -> None:
    steady = Steady()
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[4] = (10, 20, 1)
    for t_ns in (0, 0, 5, 5, 10**18):
        joints_m = np.full((17, 3), t_ns, np.float32)
        np.testing.assert_array_equal(steady.step(t_ns, keypoints, joints_m), joints_m)
