"""What a program is given that is slower than the poses come, and what it is told of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.people import pose_at
from poselift.app.dataflow.messages import Pose3D
from poselift.app.program import pose_queue as module
from poselift.app.program.pose_queue import PoseQueue


def pose(frame: int, incarnation: int = 1, **skipped: int) -> Pose3D:
    return replace(pose_at(frame, 1), incarnation=incarnation, skipped=skipped)


def taken(queue: PoseQueue) -> list[tuple[int, dict[str, int]]]:
    found = []
    while (it := queue.take()) is not None:
        found.append((it.frame, it.skipped))
    return found


def test_who_keeps_up_gets_every_pose_as_it_was_sent() -> None:
    queue = PoseQueue(every=False)
    for frame in range(3):
        sent = pose(frame)
        queue.put(sent)
        assert queue.take() is sent
    assert queue.take() is None


def test_the_newest_is_given_and_what_it_replaced_is_told() -> None:
    queue = PoseQueue(every=False)
    for frame in range(60):
        queue.put(pose(frame))
    assert taken(queue) == [(59, {"newer_pose": 59})]
    queue.put(pose(60))
    assert taken(queue) == [(60, {})], "it is told once"


def test_frames_without_a_pose_keep_their_own_reason() -> None:
    queue = PoseQueue(every=False)
    queue.put(pose(0))
    assert taken(queue) == [(0, {})]
    queue.put(pose(3, newer_frame=2))
    queue.put(pose(7, newer_frame=1, overwritten=2))
    ((frame, skipped),) = taken(queue)
    assert (frame, skipped) == (7, {"newer_frame": 3, "overwritten": 2, "newer_pose": 1}) and sum(skipped.values()) == 6


@pytest.mark.parametrize(("every", "reason"), [(False, "newer_pose"), (True, "queue_full")])
def test_what_was_lost_on_the_way_counts_the_same(every: bool, reason: str) -> None:
    queue = PoseQueue(every)
    queue.put(pose(0)), queue.take()
    queue.put(pose(5))
    assert taken(queue) == [(5, {reason: 4})]


def test_every_pose_up_to_a_limit_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POSES", 3)
    queue = PoseQueue(every=True)
    for frame in range(3):
        queue.put(pose(frame))
    assert taken(queue) == [(0, {}), (1, {}), (2, {})]
    for frame in range(3, 8):
        queue.put(pose(frame, newer_frame=0))
    found = taken(queue)
    assert [frame for frame, _ in found] == [5, 6, 7]
    assert [sum(skipped.values()) for _, skipped in found] == [2, 0, 0] and found[0][1]["queue_full"] == 2


def test_a_lifter_that_died_is_told() -> None:
    queue = PoseQueue(every=False)
    queue.put(pose(0)), queue.take()
    queue.put(pose(4, incarnation=2))
    assert taken(queue) == [(4, {"worker_died": 3})]


def test_none_is_missing_before_the_first_of_a_session() -> None:
    queue = PoseQueue(every=False)
    queue.put(pose(9)), queue.take()
    queue.reset()
    assert queue.last is None
    queue.put(pose(20, incarnation=2))
    assert queue.last and taken(queue) == [(20, {})]
