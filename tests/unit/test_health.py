"""How a worker is, from times that are passed in."""

from __future__ import annotations

import math
import mmap
import os

import numpy as np

from poselift.app.dataflow.health import AGES_KEPT, PERIOD_NS, Meter, percentiles_ms

S = 1_000_000_000


def a_meter() -> Meter:
    return Meter("lift", incarnation=9, now_ns=100 * S)


def test_who_it_is() -> None:
    health = a_meter().report("running", 101 * S)
    assert (health.worker, health.pid, health.incarnation, health.monotonic_ns) == ("lift", os.getpid(), 9, 101 * S)


def test_the_rate_is_taken_since_the_report_before() -> None:
    meter = a_meter()
    for _ in range(30):
        meter.done(1)
    assert meter.report("running", 101 * S).rate_hz == 30.0
    for _ in range(30):
        meter.done(1)
    health = meter.report("running", 105 * S)
    assert (health.rate_hz, health.messages) == (7.5, 60)
    assert meter.report("running", 106 * S).rate_hz == 0.0


def test_it_is_due_once_a_second_and_after_each_report_anew() -> None:
    meter = a_meter()
    assert not meter.due(100 * S + PERIOD_NS - 1)
    assert meter.due(100 * S + PERIOD_NS)
    meter.report("running", 101 * S + 5)
    assert not meter.due(102 * S)
    assert meter.due(102 * S + 5)


def test_two_reports_at_one_time() -> None:
    meter = a_meter()
    meter.report("running", 100 * S)
    assert math.isfinite(meter.report("ending", 100 * S).rate_hz)


def test_a_worker_without_work_waits() -> None:
    meter = a_meter()
    assert meter.report("running", 101 * S).state == "waiting"
    meter.done(1)
    assert meter.report("running", 102 * S).state == "running"
    assert meter.report("ending", 103 * S).state == "ending"


def test_ages() -> None:
    meter = a_meter()
    health = meter.report("running", 101 * S)
    assert math.isnan(health.age_p50_ms) and math.isnan(health.age_p95_ms)
    for age_ms in range(101):
        meter.done(age_ms * 1_000_000)
    health = meter.report("running", 102 * S)
    assert (health.age_p50_ms, health.age_p95_ms) == (50.0, 95.0)


def test_only_the_latest_ages_count() -> None:
    meter = a_meter()
    for age_ns in (*[10**12] * 50, *[2_000_000] * AGES_KEPT):
        meter.done(age_ns)
    assert meter.report("running", 101 * S).age_p95_ms == 2.0


def test_percentiles_of_nothing_and_of_one() -> None:
    assert np.isnan(percentiles_ms([])).all()
    assert percentiles_ms([5_000_000]) == (5.0, 5.0)


def test_drops_add_up_and_a_report_is_no_view_of_them() -> None:
    meter = a_meter()
    meter.drop({"newer_frame": 2})
    first = meter.report("running", 101 * S)
    meter.drop({"newer_frame": 1, "overwritten": 1})
    assert first.drops == {"newer_frame": 2}
    assert meter.report("running", 102 * S).drops == {"newer_frame": 3, "overwritten": 1}


def test_the_note_goes_out_until_it_is_taken_back() -> None:
    meter = a_meter()
    meter.note = "the camera is gone"
    assert meter.report("running", 101 * S).note == meter.report("running", 102 * S).note == "the camera is gone"
    meter.note = ""
    assert meter.report("running", 103 * S).note == ""


def test_memory_is_what_the_process_has_for_itself() -> None:
    """The ring of frames is shared: a worker that maps it does not grow by it."""
    meter, size = a_meter(), 64 * 2**20
    before = meter.report("running", 101 * S).memory_bytes
    shared = mmap.mmap(-1, size)
    shared.write(b"x" * size)
    with_shared = meter.report("running", 102 * S).memory_bytes
    own = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # an array may lie where something was freed before
    own.write(b"x" * size)
    with_own = meter.report("running", 103 * S).memory_bytes
    shared.close()
    own.close()
    assert before > 0
    assert abs(with_shared - before) < size / 2
    assert with_own - with_shared > size / 2


def test_what_the_networks_took_for_each_output() -> None:
    meter = a_meter()
    health = meter.report("running", 101 * S)
    assert math.isnan(health.network_p50_ms) and math.isnan(health.network_p95_ms) and health.device == ""
    meter.device = "npu"
    meter.network(5 * S)  # such as warming up
    for took_ms in range(101):
        meter.begin()
        meter.network(took_ms * 400_000)
        meter.network(took_ms * 600_000)
        meter.done(1)
    meter.begin()
    meter.network(9 * S)  # its output was left out
    meter.begin()
    meter.done(1)  # no network had to run
    health = meter.report("running", 102 * S)
    assert (health.network_p50_ms, health.network_p95_ms, health.device) == (50.5, 95.05, "npu")


def test_a_recording_that_begins_or_ends_is_said_at_once() -> None:
    meter = a_meter()
    meter.recording = "session.mcap"
    assert meter.due(100 * S)
    assert meter.report("running", 100 * S).recording == "session.mcap"
    assert not meter.due(100 * S)
    meter.recording = ""
    assert meter.due(100 * S)
