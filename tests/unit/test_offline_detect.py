"""Whose keypoints a dataset of one person a video holds."""

from __future__ import annotations

import numpy as np

from poselift.app.dataflow.messages import Pose2D
from poselift.app.offline.detect import most_seen


def a_pose(frame: int, **sizes_px: float) -> Pose2D:
    """People p1, p2, ... as boxes of these sizes, in this order."""
    keypoints = np.zeros((len(sizes_px), 21, 3), np.float32)
    keypoints[:, 1, :2] = np.array(list(sizes_px.values())).reshape(-1, 1)
    return Pose2D(frame, frame, 64, 48, np.array([int(name[1:]) for name in sizes_px], np.int64), keypoints)


def test_it_is_who_was_seen_in_most_frames_whoever_comes_first_in_a_frame() -> None:
    assert most_seen([a_pose(0, p1=50), a_pose(1, p2=5, p1=50), a_pose(2, p2=5), a_pose(3, p2=5)]) == 2


def test_of_two_who_were_seen_as_often_it_is_the_larger() -> None:
    assert most_seen([a_pose(0, p1=20, p2=30), a_pose(1, p2=30, p1=20)]) == 2
    assert most_seen([a_pose(0, p1=30, p2=20), a_pose(1, p2=20, p1=30)]) == 1


def test_nobody_is_nobody() -> None:
    assert most_seen([]) is None
    assert most_seen([a_pose(0)]) is None
