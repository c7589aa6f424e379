"""What a program is given that is slower than the poses come, and what it is told of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.people import pose_at
from poselift.app.dataflow.messages import Pose3D
from poselift.app.program import kept as module
from poselift.app.program.kept import Kept


def pose(frame: int, incarnation: int = 1, **skipped: int) -> Pose3D:
    return replace(pose_at(frame, 1), incarnation=incarnation, skipped=skipped)


def taken(kept: Kept) -> list[tuple[int, dict[str, int]]]:
    found = []
    while (it := kept.take()) is not None:
        found.append((it.frame, it.skipped))
    return found


def test_who_keeps_up_gets_every_pose_as_it_was_sent() -> None:
    kept = Kept(every=False)
    for frame in range(3):
        sent = pose(frame)
        kept.put(sent)
        assert kept.take() is sent
    assert kept.take() is None


def test_the_newest_is_given_and_what_it_replaced_is_told() -> None:
    kept = Kept(every=False)
    for frame in range(60):
        kept.put(pose(frame))
    assert taken(kept) == [(59, {"newer_pose": 59})]
    kept.put(pose(60))
    assert taken(kept) == [(60, {})], "it is told once"


def test_frames_without_a_pose_keep_their_own_reason() -> None:
    kept = Kept(every=False)
    kept.put(pose(0))
    assert taken(kept) == [(0, {})]
    kept.put(pose(3, newer_frame=2))
    kept.put(pose(7, newer_frame=1, overwritten=2))
    ((frame, skipped),) = taken(kept)
    assert (frame, skipped) == (7, {"newer_frame": 3, "overwritten": 2, "newer_pose": 1}) and sum(skipped.values()) == 6


@pytest.mark.parametrize(("every", "reason"), [(False, "newer_pose"), (True, "queue_full")])
def test_what_was_lost_on_the_way_counts_the_same(every: bool, reason: str) -> None:
    kept = Kept(every)
    kept.put(pose(0)), kept.take()
    kept.put(pose(5))
    assert taken(kept) == [(5, {reason: 4})]


def test_every_pose_up_to_a_limit_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    kept = Kept(every=True)
    for frame in range(3):
        kept.put(pose(frame))
    assert taken(kept) == [(0, {}), (1, {}), (2, {})]
    for frame in range(3, 8):
        kept.put(pose(frame, newer_frame=0))
    found = taken(kept)
    assert [frame for frame, _ in found] == [5, 6, 7]
    assert [sum(skipped.values()) for _, skipped in found] == [2, 0, 0] and found[0][1]["queue_full"] == 2


def test_a_lifter_that_died_is_told() -> None:
    kept = Kept(every=False)
    kept.put(pose(0)), kept.take()
    kept.put(pose(4, incarnation=2))
    assert taken(kept) == [(4, {"worker_died": 3})]


def test_none_is_missing_before_the_first_of_a_session() -> None:
    kept = Kept(every=False)
    kept.put(pose(9)), kept.take()
    kept.begin_anew()
    assert kept.last is None
    kept.put(pose(20, incarnation=2))
    assert kept.last and taken(kept) == [(20, {})]
