"""Which frame viewers are shown: the newest whose pose is there, and in the end one without."""

from __future__ import annotations

import pytest

from poselift.app.dataflow.messages import Frame
from poselift.app.remote.frame_pacing import MAX_WAIT_NS, PendingFrames

MOST = 4


@pytest.fixture
def pending() -> PendingFrames:
    return PendingFrames(MOST)


def frame(number: int) -> Frame:
    return Frame(number, number, 64, 48, 30.0, 0, 0, 0, "ring", b"", 1, ())


def shown(pending: PendingFrames, now_ns: int = 0) -> int | None:
    found = pending.take(now_ns)
    return None if found is None else found.frame


def test_a_frame_waits_for_its_pose_and_is_shown_once(pending: PendingFrames) -> None:
    pending.put(frame(7), 0)
    pending.posed(6)
    assert shown(pending) is None
    pending.posed(7)
    assert (shown(pending), shown(pending)) == (7, None)


def test_where_poses_come_late_the_newest_that_has_one_is_shown_and_the_others_wait(pending: PendingFrames) -> None:
    for number in (1, 2, 3):
        pending.put(frame(number), 0)
    pending.posed(2)
    assert (shown(pending), shown(pending)) == (2, None)
    pending.posed(3)
    assert shown(pending) == 3


def test_a_frame_that_gets_no_pose_is_shown_without(pending: PendingFrames) -> None:
    pending.put(frame(1), 1000)
    assert shown(pending, 1000 + MAX_WAIT_NS) is None
    assert shown(pending, 1001 + MAX_WAIT_NS) == 1


def test_a_frame_that_may_be_overwritten_soon_is_shown_without(pending: PendingFrames) -> None:
    for number in range(MOST):
        pending.put(frame(number), 0)
    assert shown(pending) is None
    pending.put(frame(MOST), 0)
    assert (shown(pending), shown(pending)) == (0, None)


def test_a_pose_that_came_before_its_frame_is_remembered(pending: PendingFrames) -> None:
    pending.posed(5)
    pending.put(frame(5), 0)
    assert shown(pending) == 5
