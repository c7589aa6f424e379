"""The grid of ticks against a naive walk from tick to tick."""

from fractions import Fraction

import numpy as np
import pytest

from poselift.models.lifting.ticks import Advance, TickGrid

START_NS = 1_700_000_000_123_456_789
GAP_NS = 500_000_000


def camera(fps, frames=200, jitter_ms=0.0, dropped=0.0, seed=0):
    """Times of a camera's pictures, in whole nanoseconds."""
    rng = np.random.default_rng(seed)
    times = [round(frame * 1e9 / fps + rng.uniform(-jitter_ms, jitter_ms) * 1e6) for frame in range(frames)]
    return [START_NS + time for time in times if rng.random() >= dropped]


def naive(times_ns, period):
    """For each measurement whether it starts anew, the times of the ticks committed before it, and whether it is one itself.

    Walks from tick to tick in exact fractions of a nanosecond.
    """
    last = tick = None
    for time in times_ns:
        if last is None or time < last or time - last > GAP_NS:
            yield True, [], True
            tick = Fraction(time)
        else:
            between, on_tick = [], False
            while not on_tick and tick + period <= time + period / 4:
                tick += period
                if tick >= time - period / 4:
                    on_tick = True
                else:
                    between.append(tick)
            yield False, between, on_tick
        last = time


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("fps", [5, 24, 25, 29.97, 30, 50, 60, 240])
@pytest.mark.parametrize(("jitter_ms", "dropped"), [(0, 0), (4, 0), (0, 0.1), (4, 0.3)])
def test_agrees_with_a_walk_from_tick_to_tick(rate, fps, jitter_ms, dropped):
    times = camera(fps, jitter_ms=jitter_ms, dropped=dropped)
    grid = TickGrid(rate, GAP_NS)
    last = 0
    for time, (restart, ticks, on_tick) in zip(times, naive(times, 10**9 / rate)):
        advance = grid.advance(time)
        assert (advance.restart, advance.on_tick, len(advance.between)) == (restart, on_tick, len(ticks))
        for part, tick in zip(advance.between, ticks):
            assert 0 < part < 1
            assert abs(last + part * (time - last) - tick) < 1000  # ns; the float's own rounding at 1.7e18
        last = time


@pytest.mark.parametrize("fps", [24, 25, 50, 60])
def test_the_network_sees_its_own_rate_whatever_the_camera_s(fps):
    grid = TickGrid(Fraction(30), GAP_NS)
    advances = [grid.advance(time) for time in camera(fps, frames=20 * fps + 1, jitter_ms=3)]
    assert sum(len(advance.between) + advance.on_tick for advance in advances) == 20 * 30 + 1


def test_at_the_model_s_rate_every_measurement_is_a_tick():
    grid = TickGrid(Fraction(30), GAP_NS)
    answers = [grid.advance(time) for time in camera(30, jitter_ms=4)]
    assert answers[0] == Advance(True, (), True)
    assert set(answers[1:]) == {Advance(False, (), True)}


def test_a_quarter_of_a_tick_is_still_on_it_and_more_is_not():
    for late_ns, on_tick in [(-26, False), (-25, True), (25, True), (26, False)]:
        grid = TickGrid(Fraction(10**7), GAP_NS)  # a tick each 100 ns
        grid.advance(0)
        assert grid.advance(300 + late_ns).on_tick is on_tick


def test_nothing_drifts():
    grid = TickGrid(Fraction(3 * 10**8), GAP_NS)  # a tick each 3 1/3 ns: whole numbers would be off within ten ticks
    grid.advance(START_NS)
    answers = {grid.advance(START_NS + round(Fraction(10, 3) * tick)) for tick in range(1, 20_000)}
    assert answers == {Advance(False, (), True)}


def test_a_gap_starts_anew_and_its_limit_does_not():
    grid = TickGrid(Fraction(30), GAP_NS)
    grid.advance(0)
    assert not grid.advance(GAP_NS).restart
    assert grid.advance(2 * GAP_NS + 1) == Advance(True, (), True)
    assert grid.advance(2 * GAP_NS + 1 + 33_333_333) == Advance(False, (), True)


def test_time_going_back_starts_anew():
    grid = TickGrid(Fraction(30), GAP_NS)
    grid.advance(1_000_000_000)
    assert grid.advance(999_999_999) == Advance(True, (), True)


def test_an_equal_time_is_a_second_look():
    grid = TickGrid(Fraction(30), GAP_NS)
    grid.advance(0)
    assert grid.advance(0) == Advance(False, (), False)
    assert grid.advance(33_333_333).on_tick
    assert grid.advance(33_333_333) == Advance(False, (), False)


def test_a_measurement_just_before_its_tick_leaves_none_to_commit_at_the_tick():
    grid = TickGrid(Fraction(30), GAP_NS)
    grid.advance(0)
    assert grid.advance(30_000_000).on_tick
    assert grid.advance(33_333_333) == Advance(False, (), False)
    assert grid.advance(66_666_666).on_tick
