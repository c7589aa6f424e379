"""Which pose is drawn over which picture."""

from __future__ import annotations

from dataclasses import replace

from test_tally import a_pose

from poselift.app.offline.export import TimedPicture, drawn

MS = 1_000_000


def posed(*frames: int) -> list:
    return [replace(a_pose(frame, (False, True)), t_ns=frame * 40 * MS) for frame in frames]


def pictures(count: int) -> list[TimedPicture]:
    return [TimedPicture(frame, frame * 40 * MS, None) for frame in range(count)]


def test_a_pose_is_drawn_over_its_own_frame() -> None:
    shown = [pose for _, pose, _ in drawn(iter(posed(0, 1, 2)), pictures(3), 0.1)]
    assert [(pose.frame, pose.held.tolist()) for pose in shown] == [(frame, [False, True]) for frame in range(3)]


def test_over_another_one_it_is_held_and_then_gone() -> None:
    shown = [pose for _, pose, _ in drawn(iter(posed(1, 8)), pictures(10), 0.1)]
    assert [pose and pose.frame for pose in shown] == [None, 1, 1, 1, None, None, None, None, 8, 8]
    assert [pose.held.all() for pose in shown if pose] == [False, True, True, False, True]


def test_poses_of_frames_without_a_picture_are_passed_over() -> None:
    some = [picture for picture in pictures(10) if picture.frame in (0, 5, 9)]
    shown = [(pose.frame, bool(pose.held.all())) for _, pose, _ in drawn(iter(posed(*range(9))), some, 0.1)]
    assert shown == [(0, False), (5, False), (8, True)]
