"""Which frame viewers are shown: the newest whose pose is there, and in the end one without."""

from __future__ import annotations

import pytest

from poselift.app.dataflow.messages import Frame
from poselift.app.remote.showing import WAIT_NS, Showing

MOST = 4


@pytest.fixture
def showing() -> Showing:
    return Showing(MOST)


def frame(number: int) -> Frame:
    return Frame(number, number, 64, 48, 30.0, 0, 0, 0, "ring", b"", 1, ())


def shown(showing: Showing, now_ns: int = 0) -> int | None:
    found = showing.take(now_ns)
    return None if found is None else found.frame


def test_a_frame_waits_for_its_pose_and_is_shown_once(showing: Showing) -> None:
    showing.put(frame(7), 0)
    showing.posed(6)
    assert shown(showing) is None
    showing.posed(7)
    assert (shown(showing), shown(showing)) == (7, None)


def test_where_poses_come_late_the_newest_that_has_one_is_shown_and_the_others_wait(showing: Showing) -> None:
    for number in (1, 2, 3):
        showing.put(frame(number), 0)
    showing.posed(2)
    assert (shown(showing), shown(showing)) == (2, None)
    showing.posed(3)
    assert shown(showing) == 3


def test_a_frame_that_gets_no_pose_is_shown_without(showing: Showing) -> None:
    showing.put(frame(1), 1000)
    assert shown(showing, 1000 + WAIT_NS) is None
    assert shown(showing, 1001 + WAIT_NS) == 1


def test_a_frame_that_may_be_overwritten_soon_is_shown_without(showing: Showing) -> None:
    for number in range(MOST):
        showing.put(frame(number), 0)
    assert shown(showing) is None
    showing.put(frame(MOST), 0)
    assert (shown(showing), shown(showing)) == (0, None)


def test_a_pose_that_came_before_its_frame_is_remembered(showing: Showing) -> None:
    showing.posed(5)
    showing.put(frame(5), 0)
    assert shown(showing) == 5
