"""The table of workers holds together, and says what the design says."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec

import pytest

from poselift.app.dataflow.messages import TYPES, Answer, Control, End, Frame, Health, Pose2D, Pose3D
from poselift.app.dataflow.streams import STAGES, WATCH, WORKERS, Link, Take, answer_to_a_frame, links, recorded, sender_of, sent

MODES = ("live", "file")
LIVE_ONLY = ("serve", "metrics")
FILE_WORKERS = tuple(worker for worker in WORKERS if worker not in LIVE_ONLY)


def ways(mode: str, workers: Collection[str] = WORKERS) -> dict[tuple[str, str, str], Take]:
    found = links(mode, workers)
    table = {(link.message.__name__, link.sender, link.taker): link.take for link in found}
    assert len(table) == len(found), "a way is there twice"
    return table


def test_each_worker_has_a_file_and_each_message_one_sender() -> None:
    assert [worker for worker in WORKERS if find_spec(f"poselift.workers.{worker}") is None] == []
    assert len([message for worker in WORKERS.values() for message in worker.sends]) == len(sent()) - 1
    assert {*sent(), End, Control, Answer} == set(TYPES.values())


@pytest.mark.parametrize("mode", MODES)
def test_senders_come_before_their_takers(mode: str) -> None:
    order = (*WORKERS, WATCH)
    for link in links(mode, WORKERS):
        assert link.message is Health or order.index(link.sender) < order.index(link.taker), link


def test_both_modes_have_the_same_ways_but_that_nobody_serves_or_measures_a_file() -> None:
    assert {way for way in ways("live") if not {*LIVE_ONLY} & {*way}} == set(ways("file", FILE_WORKERS))
    assert {way for way in ways("file") if way[2] in LIVE_ONLY} == set()


def test_what_every_worker_takes_live() -> None:
    assert {way: take for way, take in ways("live").items() if way[0] != "Health"} == {
        ("Frame", "capture", "detect"): Take.NEWEST,
        ("Frame", "capture", "record"): Take.EVERY,
        ("Frame", "capture", "serve"): Take.FEED,
        ("Pose2D", "detect", "lift"): Take.EVERY,
        ("Pose2D", "detect", "record"): Take.EVERY,
        ("Pose2D", "detect", "serve"): Take.FEED,
        ("Pose2D", "detect", "metrics"): Take.FEED,
        ("Pose2D", "detect", WATCH): Take.FEED,
        ("Pose3D", "lift", "record"): Take.EVERY,
        ("Pose3D", "lift", "serve"): Take.FEED,
        ("Pose3D", "lift", "metrics"): Take.FEED,
        ("Pose3D", "lift", WATCH): Take.FEED,
    }


def test_from_a_file_no_worker_may_miss_anything() -> None:
    for (message, _, taker), take in ways("file").items():
        assert take is (Take.FEED if message == "Health" or taker == WATCH else Take.EVERY), (message, taker)


@pytest.mark.parametrize("mode", MODES)
def test_whoever_looks_on_never_slows_anybody(mode: str) -> None:
    assert {take for (_, _, taker), take in ways(mode).items() if taker == WATCH} == {Take.FEED}
    assert {take for (_, _, taker), take in ways(mode).items() if taker in LIVE_ONLY} <= {Take.FEED}


def test_everybody_says_how_it_is_and_nobody_hears_itself() -> None:
    health = {way for way in ways("live") if way[0] == "Health"}
    assert health == {("Health", worker, taker) for worker in WORKERS for taker in ("record", *LIVE_ONLY, WATCH) if worker != taker}


def test_only_those_who_run_are_linked() -> None:
    assert ways("live", ("capture", "detect")).keys() == {
        ("Frame", "capture", "detect"),
        ("Pose2D", "detect", WATCH),
        ("Health", "capture", WATCH),
        ("Health", "detect", WATCH),
    }
    assert links("live", ()) == ()


@pytest.mark.parametrize("mode", MODES)
def test_a_frame_comes_to_the_recording_by_every_stage(mode: str) -> None:
    """Capture to record, directly and through each worker: so the record's inputs end only when all work is done."""
    every = {(link.sender, link.taker) for link in links(mode, WORKERS) if link.take is not Take.FEED}
    reached = {"capture"}
    while more := {taker for sender, taker in every if sender in reached} - reached:
        reached |= more
    assert reached - {*LIVE_ONLY} == set(FILE_WORKERS)
    assert {sender for sender, taker in every if taker == "record"} == set(FILE_WORKERS) - {"record"}


def test_everything_that_is_said_is_recorded() -> None:
    assert {*recorded()} == {*sent(), End}


def test_who_gives_nothing_stands_back_and_who_is_not_waited_for_either_only_looks_on() -> None:
    assert {worker for worker, row in WORKERS.items() if not row.sends} == {"record", "serve", "metrics"}
    assert {worker for worker, row in WORKERS.items() if row.only_looks_on} == {"serve", "metrics"}


def test_a_link_says_who_sends_what_to_whom() -> None:
    assert Link(Frame, "capture", "detect", Take.NEWEST) in links("live", WORKERS)
    assert not any(link.message is Pose3D and link.sender == "detect" for link in links("live", WORKERS))
    assert [link.sender for link in links("live", WORKERS) if link.message is Pose2D] == ["detect"] * 5


def test_who_sends_what() -> None:
    assert STAGES == ("capture", "detect", "lift")
    assert [sender_of(message) for message in (Frame, Pose2D, Pose3D)] == [*STAGES]


@pytest.mark.parametrize(
    ("workers", "last"), [(WORKERS, Pose3D), (("capture", "detect", "record"), Pose2D), (("capture", "record"), Frame), ((), Frame)]
)
def test_the_last_that_comes_of_a_frame(workers: Collection[str], last: type) -> None:
    assert answer_to_a_frame(workers) is last
