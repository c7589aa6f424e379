from __future__ import annotations

from fractions import Fraction

import numpy as np

from poselift.workers.sources.clocks import CameraClock, MediaClock

MS = 10**6
PERIOD = 40 * MS


def place_all(pts, time_base=Fraction(1, 1000), period=PERIOD, jumps=False):
    clock = MediaClock(period, jumps)
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


def test_a_jump_out_of_proportion_is_no_gap_where_the_format_has_such():
    hour = 3600 * 1000
    assert place_all([0, 40, hour, hour + 40, 80], jumps=True) == [0, PERIOD, 2 * PERIOD, 3 * PERIOD, 4 * PERIOD]
    assert place_all([0, 40, hour, hour + 40]) == [0, PERIOD, hour * MS, (hour + 40) * MS]
    assert place_all([0, 40, 9040, 9080], jumps=True) == [0, PERIOD, 9040 * MS, 9080 * MS]
    assert place_all([0, hour, 2 * hour], period=hour * MS, jumps=True) == [0, hour * MS, 2 * hour * MS]
    clock = MediaClock(PERIOD, True, [0, None, hour, 2 * hour])
    assert [clock.place(pts, Fraction(1, 1000)) for pts in (0, hour, 2 * hour)] == [0, hour * MS, 2 * hour * MS], "an hour is usual here"


def test_pictures_within_one_tick_of_the_clock_do_not_move_it():
    assert place_all([0, 0, 1, 1, 2, 2, 3], period=MS // 2) == [n * MS // 2 for n in range(7)]
    times = place_all([n // 10 for n in range(1000)], period=MS // 10)
    assert times == [n * MS // 10 for n in range(1000)]


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
