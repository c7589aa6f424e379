"""The viewer without a window: what it says, what keys do, how it fits windows of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np
import pytest

from bench.people import health_of, pose_at
from poselift.app.dataflow.messages import Answer, End
from poselift.app.dataflow.session import Session
from poselift.app.remote.viewer import Link
from poselift.app.remote.wire import Camera, Picture, Welcome
from poselift.app.view.bodies import lowest
from poselift.app.view.camera import project
from poselift.app.view.layout import arrange
from poselift.app.view.page import Label, Line, compose
from poselift.app.view.show import Show
from poselift.app.view.sources import Live
from poselift.app.view.words import KEYS, Facts, clock, figures, state, tracked

WELCOME = Welcome(
    session=1,
    board="board",
    version="0.1.0",
    may_control=True,
    max_width_px=1280,
    max_quality=85,
    max_rate_hz=15.0,
    camera=Camera(1280, 720, 30.0, 1408.0, True, 1.7),
    models=(),
    keypoints=(),
    keypoint_bones=(),
    joints=(),
    joint_parents=(),
    pipeline=Session(5, "boot", "attic"),
)


def width(text: str, style: str) -> float:
    return 7.5 * len(text)


class Feed:
    """A board under the test's control."""

    def __init__(self) -> None:
        self.link = Link(True, 0.0, 0, 2_400_000, False, "")
        self.missed: dict[str, int] = {}
        self.coming: list[Any] = []
        self.orders: list[str] = []
        self.wants: list[tuple[int, int, float]] = []
        self.closed = False
        self.age_at_sight_ns: Optional[int] = 20_000_000

    def receive(self, timeout_s: float) -> Sequence[Any]:
        found, self.coming = self.coming, []
        return found

    def want(self, width_px: int, quality: int, rate_hz: float) -> None:
        self.wants.append((width_px, quality, rate_hz))

    def order(self, command: str) -> None:
        self.orders.append(command)

    def age_ns(self, message: Any) -> Optional[int]:
        return self.age_at_sight_ns

    def close(self) -> None:
        self.closed = True


def running(frames: int = 30, people: int = 2) -> tuple[Show, Feed]:
    feed = Feed()
    show = Show(Live(feed, "board"))
    for frame in range(frames):
        feed.coming = [pose_at(frame, people)]
        show.step(frame / 30)
    return show, feed


def texts(show: Show, size: tuple[int, int] = (1280, 720)) -> str:
    return " | ".join(label.text for label in show.page(show.layout(*size), width).labels)


def test_what_is_live_is_said_in_figures() -> None:
    show, feed = running(90)
    feed.coming = [health_of("detect", 0, drops={"newer_frame": 3}), health_of("record", 0, recording="session.mcap")]
    feed.missed = {"no_room": 4}
    show.step(3.5)
    said = texts(show)
    for expected in ("board", "live", "20 / 20 ± 2", "ms old", "30", "fps", "7", "dropped", "REC  session.mcap", "person 0", "person 1"):
        assert expected in said.split(" | "), expected


def test_old_data_is_grey_and_says_how_old_it_is() -> None:
    show, feed = running()
    feed.link = feed.link._replace(connected=False, silent_s=7.0, why="no answer from board")
    show.step(8.0)
    assert show.stale and "7 s old · no answer from board" in texts(show)
    feed.link = feed.link._replace(connected=True, silent_s=0.0, why="")
    feed.coming = [pose_at(100, 2)]
    show.step(8.5)
    assert not show.stale and "live" in texts(show).split(" | ")


def test_the_age_of_what_is_shown_grows_whatever_else_is_heard() -> None:
    show, feed = running()
    for second, silent_s in ((3, 2.0), (4, 0.0), (5, 1.0)):  # a refusal is heard, too
        feed.link = feed.link._replace(connected=False, silent_s=silent_s, refused=not silent_s, why="board refuses: too many viewers")
        show.step(float(second))
        assert f"{second - 1} s old · board refuses: too many viewers" in texts(show)


def test_live_means_a_pose_that_is_fresh() -> None:
    show, feed = running()
    feed.coming = [replace(health_of("capture", 0), note="the camera is away")]
    show.step(1.5)
    assert "live" in texts(show).split(" | ")
    for now_s in (2.5, 3.5):
        feed.coming = [health_of("lift", 0), Picture(int(30 * now_s), round(now_s * 1e9), 640, 360, 3, 0, b"abc", ())]
        show.step(now_s)
        assert show.stale and f"{now_s - 29 / 30:.0f} s old · capture: the camera is away" in texts(show)


@pytest.mark.parametrize(("age_s", "delay_s", "live"), [(0.9, 0.0, True), (4.4, 0.0, False), (3.0, 2.4, True), (None, 0.0, True)])
def test_a_pose_that_comes_late_is_not_live(age_s: Optional[float], delay_s: float, live: bool) -> None:
    show, feed = running()
    feed.age_at_sight_ns = None if age_s is None else round(age_s * 1e9)
    feed.coming = [replace(pose_at(30, 2), delay_ns=round(delay_s * 1e9))]
    show.step(1.3)
    assert show.stale != live and ("4 s old" in texts(show).split(" | ")) != live


def test_a_slow_camera_is_live_between_its_pictures() -> None:
    show, feed = running()
    feed.coming = [replace(WELCOME, camera=WELCOME.camera._replace(fps=0.5)), pose_at(30, 2)]
    show.step(1.0)
    show.step(6.5)
    assert "live" in texts(show).split(" | ")
    show.step(7.5)
    assert show.stale


def test_a_stream_that_begins_anew_is_shown_from_its_first_pose_on() -> None:
    show, feed = running(120)
    for frame in range(30):  # the same clip, or a board that was started again, by the same connection
        feed.coming = [replace(pose_at(frame, 1), incarnation=2), Picture(frame, pose_at(frame, 1).t_ns, 640, 360, 3, 0, b"abc", ())]
        show.step(5 + frame / 30)
        moment = show.moment
        assert moment and moment.pose and moment.shot
        assert (moment.pose.frame, moment.pose.incarnation, moment.shot.frame, len(show.joints)) == (frame, 2, frame, 1)
    assert "live" in texts(show).split(" | ")


def test_another_run_of_the_pipeline_clears_what_is_shown() -> None:
    show, feed = running(60)
    feed.coming = [WELCOME, health_of("record", 0, recording="session.mcap"), End("serve", 60, "")]
    show.step(2.0)
    assert show.moment and show.moment.pose, "the first that is heard of a run is no other one"
    feed.coming = [WELCOME]
    show.step(2.2)
    assert show.moment.pose
    feed.coming = [replace(WELCOME, session=2, pipeline=Session(9, "boot", "attic"))]
    show.step(2.5)
    assert show.moment.pose is None and show.stale and len(show.joints) == 0 and show.source.moments.span_ns is None
    assert "no pose yet" in texts(show).split(" | ") and "session.mcap" not in texts(show)
    feed.coming = [pose_at(3, 1)]
    show.step(3.0)
    assert show.moment.pose and show.moment.pose.frame == 3 and "live" in texts(show).split(" | ")


def test_what_is_frozen_outlives_the_run_it_is_of() -> None:
    show, feed = running(60)
    feed.coming = [WELCOME]
    show.step(2.0)
    show.press("SPACE")
    feed.coming = [replace(WELCOME, session=2, pipeline=Session(9, "boot", "attic")), pose_at(3, 1)]
    show.step(3.0)
    assert show.moment and show.moment.pose and show.moment.pose.frame == 59
    show.press("SPACE")
    show.step(3.1)
    assert show.moment.pose.frame == 3


def test_before_anything_came_it_says_what_it_waits_for_and_an_end_is_said() -> None:
    feed = Feed()
    feed.link = feed.link._replace(connected=False, silent_s=2.0, why="no answer from board")
    show = Show(Live(feed, "board"))
    show.step(0.0)
    assert "connecting · no answer from board" in texts(show)
    feed.link = feed.link._replace(connected=True, why="")
    feed.coming = [pose_at(0, 1), End("lift", 1, "")]
    show.step(1.0)
    assert "ended" in texts(show).split(" | ") and show.stale
    feed.coming = [pose_at(1, 1), End("serve", 2, "", broken="lift")]
    show.step(2.0)
    assert "ended · lift died" in texts(show).split(" | ")


def test_space_freezes_arrows_go_through_the_poses_and_space_goes_on() -> None:
    show, feed = running(60)
    assert show.layout(1280, 720).timeline is None
    show.press("SPACE")
    for frame in range(60, 70):
        feed.coming = [pose_at(frame, 2)]
        show.step(2 + frame / 30)
    assert show.moment and show.moment.pose and show.moment.pose.frame == 59
    assert "frozen, 0.0 s back" in texts(show) and show.layout(1280, 720).timeline
    show.press("LEFT")
    show.press("LEFT", shift=True)
    show.step(5.0)
    assert show.moment.pose.frame == 59 - 1 - 30
    show.press("RIGHT")
    show.step(5.1)
    assert show.moment.pose.frame == 29 and "frozen, 1.0 s back" in texts(show)
    show.press("HOME")
    show.step(5.2)
    assert show.moment.pose.frame == 0
    show.press("SPACE")
    show.step(5.3)
    assert show.moment.pose.frame == 69


def test_the_mouse_goes_along_the_time_line() -> None:
    show, _ = running(61)
    show.press("SPACE")
    layout = show.layout(1280, 720)
    assert layout.timeline
    assert not show.point(layout, 600, layout.timeline.top - 1)
    assert show.point(layout, 640, layout.timeline.top + 2)
    show.step(3.0)
    assert show.moment and show.moment.pose and show.moment.pose.frame == 30


def test_record_is_an_order_and_its_answer_is_shown() -> None:
    show, feed = running()
    show.press("R")
    feed.coming = [Answer(True, "recording to session.mcap"), health_of("record", 0, recording="session.mcap")]
    show.step(2.0)
    assert "recording to session.mcap" in texts(show)
    show.press("R")
    assert feed.orders == ["record start", "record stop"]
    show.step(20.0)
    assert "recording to session.mcap" not in texts(show), "it is shown for a few seconds"


def test_keys_of_views_picture_trails_help_and_the_window() -> None:
    show, _ = running()
    for key, view in (("1", "front"), ("2", "side"), ("3", "top"), ("4", "follow")):
        show.press(key)
        assert show.director.view == view
    show.press("TAB")
    assert show.director.followed == 0
    assert show.layout(1280, 720).picture
    show.press("P")
    assert show.layout(1280, 720).picture is None
    show.press("T")
    assert not show.trails_on
    show.press("?")
    assert all(key in texts(show) and what in texts(show) for key, what in KEYS)
    assert show.press("ESCAPE") is None and not show.keys_open
    assert [show.press(key) for key in ("S", "F", "Q", "ESCAPE", "X")] == ["screenshot", "fullscreen", "quit", "leave", None]


def test_pictures_are_asked_for_once_a_size_and_not_at_all_where_none_is_shown() -> None:
    source = Live(feed := Feed(), "board")
    for wide in (800, 800, 640, 0):
        source.want(wide)
    assert [(wide, rate > 0) for wide, _, rate in feed.wants] == [(800, True), (640, True), (1, False)]


@pytest.mark.parametrize("up_m", [3.0, -3.0])
def test_somebody_else_on_a_roof_is_seen_with_the_ground_under_their_feet(up_m: float) -> None:
    show, feed = running(people=1)
    for frame in range(30, 75):
        pose = pose_at(frame, 1)
        pose = replace(pose, person=pose.person + 7, root_m=pose.root_m - np.array([0, up_m, 0], np.float32))
        feed.coming = [pose]
        show.step(frame / 30)
        assert abs(show.director.ground_m - lowest(show.joints)) < 0.2
        panel = show.layout(1280, 720).scene
        x_px, y_px, _ = project(show.director.eye, panel, show.joints.reshape(-1, 3)).T
        assert all(panel.holds(x, y) for x, y in zip(x_px, y_px)), f"from their first frame on, not only after {frame - 30}"


def test_one_person_who_climbs_is_not_lost_from_sight() -> None:
    show, feed = running(people=1)
    for frame in range(30, 120):
        pose = pose_at(frame, 1)
        up_m = min((frame - 30) / 30, 2.5)
        feed.coming = [replace(pose, root_m=pose.root_m - np.array([0, up_m, 0], np.float32))]
        show.step(frame / 30)
        panel = show.layout(1280, 720).scene
        x_px, y_px, _ = project(show.director.eye, panel, show.joints[:, 0]).T
        assert panel.holds(float(x_px[0]), float(y_px[0])), frame


def test_nothing_new_is_not_drawn_again() -> None:
    show, feed = running(300)
    now_s = 10.0
    for _ in range(200):  # the eye comes to rest
        now_s += 0.05
        show.step(now_s)
    assert not any(show.step(now_s + 0.001 * tick) for tick in range(1, 5))
    feed.coming = [pose_at(301, 2)]
    assert show.step(now_s + 0.01)


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160), (640, 480), (480, 320), (700, 1200), (2560, 1080)])
@pytest.mark.parametrize("aspect", [16 / 9, 9 / 16, None])
@pytest.mark.parametrize("line", [True, False])
def test_panels_lie_within_the_window_beside_each_other(size: tuple[int, int], aspect: Optional[float], line: bool) -> None:
    layout = arrange(*size, aspect, line)
    panels = [panel for panel in (layout.head, layout.picture, layout.scene, layout.timeline) if panel]
    for panel in panels:
        assert panel.left >= 0 and panel.top >= 0 and panel.width > 0 and panel.height > 0
        assert panel.left + panel.width <= size[0] + 1e-6 and panel.top + panel.height <= size[1] + 1e-6
    if layout.picture and aspect:
        picture, scene = layout.picture, layout.scene
        assert picture.width / picture.height == pytest.approx(aspect, rel=0.03)
        assert scene.left >= picture.left + picture.width or scene.top >= picture.top + picture.height
        assert scene.width * scene.height > 0.2 * size[0] * size[1]


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160), (640, 480), (480, 320)])
def test_lines_of_text_stay_in_the_window_and_do_not_overlap(size: tuple[int, int]) -> None:
    facts = Facts(
        "a board with quite a long name", "stale", 12.0, 0, "no answer from 192.168.100.200:5570 for 12 s; trying again", people=4
    )
    facts = facts._replace(rate_hz=29.7, ages_ms=(41.0, 66.0), age_error_ms=3.0, drops=123456, recording="session.12.mcap")
    layout = arrange(*size, 16 / 9, True)

    def wide(text: str, style: str) -> float:
        return 8.5 * layout.unit * len(text)

    page = compose(layout, facts, tracked(pose_at(3, 4), 2, False), Line(0.5, "-0:12.3", "now", False), False, wide)

    def ends(label: Label) -> tuple[float, float]:
        left = label.x - {"left": 0.0, "right": 1.0, "centre": 0.5}[label.align] * wide(label.text, label.style)
        return left, left + wide(label.text, label.style)

    for label in page.labels:
        assert ends(label)[0] >= 0 and ends(label)[1] <= size[0] and 0 < label.baseline < size[1], label
    for line in {label.baseline for label in page.labels}:
        spans = sorted(ends(label) for label in page.labels if label.baseline == line and label.text)
        assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:])), spans


def test_words() -> None:
    assert (clock(0), clock(72.34), clock(-4.5), clock(3599.99)) == ("0:00.0", "1:12.3", "-0:04.5", "60:00.0")
    assert state(Facts("b", "live", delay_s=2.42))[0] == "live · 3D 2.4 s behind"
    assert figures(Facts("b", people=1)) == [("1", "person")]
    assert figures(Facts("b", people=0, ages_ms=(10.4, 20.6), age_error_ms=0.1))[1] == ("10 / 21", "ms old")
    pose = pose_at(3, 1)
    (who,) = tracked(pose, 0, False)
    assert who.followed and who.words[0] == f"{100 * pose.confidence.mean():.0f} % sure" and who.words[2].endswith("m away")
    assert tracked(None, None, False) == []


def test_pictures_come_with_the_keypoints_of_their_own_frame() -> None:
    show, feed = running(30)
    feed.coming = [Picture(20, pose_at(20, 2).t_ns, 640, 360, 3, 0, b"abc", ())]
    show.step(2.0)
    assert show.moment and show.moment.overlay and show.moment.overlay.frame == 20
    assert show.picture_size == (1280, 720) and np.isclose(show.focal_px, 1.1 * 1280)
