"""The viewer's last 30 s: what is kept, what belongs to a picture, and what is shown when it is frozen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.people import health_of, pose_at
from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.view import live_history
from poselift.app.view.history import CompressedImage
from poselift.app.view.live_history import LiveHistory
from poselift.app.view.playhead import Playhead

SECOND_NS = 10**9


def image(frame: int, size: int = 10) -> CompressedImage:
    return CompressedImage(frame, round(frame / 30 * 1e9), 64, 48, bytes(size))


def flat(pose: Pose3D) -> Pose2D:
    return Pose2D(pose.frame, pose.t_ns, pose.width_px, pose.height_px, pose.person, pose.keypoints, incarnation=pose.incarnation)


def filled(frames: int, size: int = 10) -> LiveHistory:
    found = LiveHistory()
    for frame in range(frames):
        found.add(pose_at(frame, 1))
        found.add(image(frame, size))
    return found


def test_thirty_seconds_are_kept_and_no_more() -> None:
    found = filled(40 * 30)
    assert found.span_ns == (pose_at(40 * 30 - 1 - 900, 1).t_ns, pose_at(40 * 30 - 1, 1).t_ns)
    assert len(found.poses(0, 10**18)) == 901


def test_pictures_are_given_up_first_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_history, "MAX_IMAGE_BYTES", 1000)
    found = filled(100, size=100)
    assert found.at(pose_at(95, 1).t_ns).image == image(95, 100)
    assert found.at(pose_at(80, 1).t_ns).image is None
    assert found.at(pose_at(80, 1).t_ns).pose is not None


def test_a_picture_has_the_keypoints_of_its_own_frame_whenever_they_came() -> None:
    found = LiveHistory()
    for frame in (0, 1, 2):
        found.add(pose_at(frame, 1))
    found.add(image(1))
    snapshot = found.at(pose_at(2, 1).t_ns)
    assert snapshot.pose and snapshot.overlay and snapshot.image
    assert (snapshot.pose.frame, snapshot.image.frame, snapshot.overlay.frame) == (2, 1, 1)


def test_a_skipped_picture_has_those_before_it_but_no_old_ones() -> None:
    found = LiveHistory()
    found.add(pose_at(0, 1))
    found.add(image(2))
    assert found.at(10**9).overlay is not None
    found.add(image(30))
    assert found.at(2 * 10**9).overlay is None


def test_a_lifted_pose_takes_the_place_of_its_keypoints_in_either_order() -> None:
    for order in ((flat(pose_at(3, 1)), pose_at(3, 1)), (pose_at(3, 1), flat(pose_at(3, 1)))):
        found = LiveHistory()
        for message in order:
            found.add(message)
        assert isinstance(found.at(10**9).overlay, Pose3D)


def test_keypoints_alone_are_enough_for_the_picture() -> None:
    found = LiveHistory()
    found.add(flat(pose_at(3, 1)))
    found.add(image(3))
    snapshot = found.at(10**9)
    assert isinstance(snapshot.overlay, Pose2D) and snapshot.pose is None


def test_what_is_late_goes_where_it_belongs() -> None:
    found = LiveHistory()
    for frame in (0, 2, 1, 3):
        found.add(pose_at(frame, 1))
    assert [pose.frame for pose in found.poses(0, 10**18)] == [0, 1, 2, 3]
    assert found.neighbour(pose_at(2, 1).t_ns, -1) == pose_at(1, 1).t_ns
    assert found.neighbour(pose_at(2, 1).t_ns, 5) == pose_at(3, 1).t_ns


def test_a_source_that_begins_anew_begins_anew_here() -> None:
    found = LiveHistory()
    found.add(replace(pose_at(3, 1), t_ns=100 * SECOND_NS))
    found.add(pose_at(4, 1))
    assert found.span_ns == (pose_at(4, 1).t_ns, pose_at(4, 1).t_ns)


@pytest.mark.parametrize(
    ("frame", "seconds", "incarnation", "anew"),
    [
        (10, 0.4, 1, True),  # the same clip again
        (59, 0.4, 1, True),
        (60, 0.4, 0, True),  # a clock that was set back
        (60, 0.4, 1, True),
        (3, 9.0, 1, True),  # a camera whose clock goes on
        (58, 1.93, 0, False),  # late
        (60, 2.0, 1, False),  # a lifter that came back
        (60, 2.0, 0, False),
    ],
)
def test_numbers_or_times_that_go_back_begin_anew(frame: int, seconds: float, incarnation: int, anew: bool) -> None:
    for kind in (lambda pose: pose, flat):
        found = filled(60)
        pose = replace(pose_at(frame, 1), t_ns=round(seconds * SECOND_NS), incarnation=incarnation)
        found.add(flat(pose_at(59, 1)))
        found.add(kind(pose))
        assert (found.at(0).pose is None) == anew
        if anew:
            assert found.at(pose.t_ns).image is None and found.at(pose.t_ns).overlay.frame == frame


def test_what_is_frozen_stays_while_the_stream_goes_on() -> None:
    found = filled(60)
    frozen = found.frozen_copy()
    for frame in range(60, 40 * 30):
        found.add(pose_at(frame, 1))
    assert frozen.span_ns == (0, pose_at(59, 1).t_ns)
    assert frozen.at(0).pose is not None and found.at(0).pose is None


def test_reports_are_the_newest_of_each_worker() -> None:
    found = LiveHistory()
    for drops in (1, 2):
        found.add(health_of("lift", 0, drops={"queue_full": drops}))
    assert found.at(0).health["lift"].drops == {"queue_full": 2}


def test_live_shows_the_newest_until_it_is_frozen() -> None:
    head = Playhead(live=True)
    head.advance((0, 100), 0.1)
    assert head.t_ns == 100
    head.toggle_pause((0, 100))
    head.advance((50, 300), 0.1)
    assert (head.paused, head.t_ns) == (True, 100)
    head.advance((200, 300), 0.1)
    assert head.t_ns == 200, "what is no longer there is not shown"
    head.toggle_pause((200, 400))
    head.advance((200, 400), 0.1)
    assert head.t_ns == 400


def test_a_recording_plays_at_its_own_pace_stops_at_its_end_and_begins_again() -> None:
    head, span = Playhead(live=False), (5 * SECOND_NS, 7 * SECOND_NS)
    head.advance(span, 0.0)
    head.advance(span, 0.5)
    assert head.t_ns == 5.5 * SECOND_NS and head.progress(span) == pytest.approx(0.25)
    head.advance(span, 9.0)
    assert (head.t_ns, head.paused) == (span[1], True)
    head.toggle_pause(span)
    head.advance(span, 0.1)
    assert (head.t_ns, head.paused) == (5.1 * SECOND_NS, False)
    head.seek(-5, span)
    assert (head.t_ns, head.paused) == (span[0], True)


def test_nothing_yet_is_nothing() -> None:
    head = Playhead(live=True)
    head.advance(None, 0.1)
    head.toggle_pause(None)
    assert (head.t_ns, head.paused, LiveHistory().span_ns, LiveHistory().at(0).pose) == (None, False, None, None)
    assert np.isclose(head.progress(None), 1.0)
