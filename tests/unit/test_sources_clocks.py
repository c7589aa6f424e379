from __future__ import annotations

from fractions import Fraction

import numpy as np

from workers.sources.clocks import CameraClock, MediaClock

MS = 10**6
PERIOD = 40 * MS


def place_all(pts, time_base=Fraction(1, 1000)):
    clock = MediaClock(PERIOD)
    return [clock.place(t, time_base) for t in pts]


def test_media_time_is_exact_and_from_zero():
    base = Fraction(1001, 30000)
    times = place_all(range(7, 100_007), base)
    assert times == [n * 1001 * 10**9 // 30000 for n in range(100_000)]


def test_missing_times_come_one_period_apart():
    assert place_all([None, None, None]) == [0, PERIOD, 2 * PERIOD]
    assert place_all([5, None, 105]) == [0, PERIOD, 100 * MS]


def test_a_time_that_does_not_increase_begins_anew_one_period_later():
    assert place_all([0, 40, 80, 0, 40, 80]) == [0, PERIOD, 2 * PERIOD, 3 * PERIOD, 4 * PERIOD, 5 * PERIOD]
    assert place_all([0, 10, 10, 20]) == [0, 10 * MS, 50 * MS, 60 * MS]


def test_a_gap_in_the_file_stays_a_gap():
    assert place_all([0, 40, 9000]) == [0, 40 * MS, 9000 * MS]


def camera_times(arrivals_ns, pts_ns):
    clock = CameraClock()
    return np.array([clock.place(None if p is None else int(p), int(a)) for p, a in zip(pts_ns, arrivals_ns)])


def test_jitter_of_the_network_does_not_reach_the_times():
    rng = np.random.default_rng(0)
    pts = np.arange(3000) * 33_333_333
    arrivals = 10**15 + pts + 3 * MS + rng.exponential(8 * MS, 3000).astype(np.int64)
    times = camera_times(arrivals, pts)
    assert (times <= arrivals).all()
    settled = np.diff(times[300:])
    assert abs(settled - 33_333_333).max() < 3 * MS
    assert settled.std() < 0.3 * MS
    assert np.diff(arrivals[300:]).std() > 5 * MS


def test_the_cameras_clock_may_run_faster_or_slower():
    pts = np.arange(200_000) * 33_333_333  # nearly two hours
    for parts_per_million in (-100, 100):
        arrivals = 10**15 + pts + pts // 10**6 * parts_per_million + 5 * MS
        times = camera_times(arrivals, pts)
        assert abs(arrivals - times).max() < 0.1 * MS


def test_a_camera_that_counts_pictures_and_not_time_is_never_far_off():
    pts = np.arange(5000) * PERIOD
    arrivals = 10**15 + pts + pts // 20
    times = camera_times(arrivals, pts)
    assert (arrivals - times).min() >= 0
    assert (arrivals - times).max() <= 1000 * MS
    assert (np.diff(times) > 0).all()


def test_pictures_held_back_and_sent_at_once_keep_their_own_times():
    pts = np.arange(200) * PERIOD
    arrivals = 10**15 + pts
    arrivals[100:120] = arrivals[120]  # a stall of the network
    times = camera_times(arrivals, pts)
    assert abs(times - (10**15 + pts)).max() < 1 * MS


def test_a_first_burst_is_not_dated_into_the_future():
    pts = np.arange(100) * PERIOD
    arrivals = 10**15 + np.maximum(pts, 20 * PERIOD)  # the camera keeps a second, and sends it when asked
    times = camera_times(arrivals, pts)
    assert (times <= np.maximum.accumulate(arrivals) + 100).all()
    assert (np.diff(times) > 0).all()
    assert abs(np.diff(times[30:]) - PERIOD).max() < 0.1 * MS


def test_a_camera_whose_clock_begins_anew():
    pts = np.concatenate([np.arange(100), np.arange(100)]) * PERIOD + 10**12
    pts[100:] -= 10**12
    arrivals = 10**15 + np.arange(200) * PERIOD
    times = camera_times(arrivals, pts)
    assert abs(times - arrivals).max() < 1 * MS


def test_pictures_without_a_time_have_that_of_their_arrival():
    assert camera_times([100, 200, 200], [None, None, None]).tolist() == [100, 200, 201]
