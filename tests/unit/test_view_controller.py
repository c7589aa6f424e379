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
from poselift.app.remote.client_protocol import ConnectionState
from poselift.app.remote.wire import Camera, Picture, Welcome
from poselift.app.view.controller import Controller
from poselift.app.view.geometry import ground_m_below
from poselift.app.view.hud import Label, SeekBar, compose
from poselift.app.view.hud_text import KEYS, HudData, metrics, person_rows, status_text, time_text
from poselift.app.view.layout import arrange
from poselift.app.view.orbit_camera import project
from poselift.app.view.sources import LiveSource

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


class FakeClient:
    """A board under the test's control."""

    def __init__(self) -> None:
        self.state = ConnectionState(True, 0.0, 0, 2_400_000, False, "")
        self.missed: dict[str, int] = {}
        self.coming: list[Any] = []
        self.orders: list[str] = []
        self.wants: list[tuple[int, int, float]] = []
        self.closed = False
        self.age_at_sight_ns: Optional[int] = 20_000_000

    def receive(self, timeout_s: float) -> Sequence[Any]:
        found, self.coming = self.coming, []
        return found

    def request_pictures(self, width_px: int, quality: int, rate_hz: float) -> None:
        self.wants.append((width_px, quality, rate_hz))

    def order(self, command: str) -> None:
        self.orders.append(command)

    def age_ns(self, message: Any) -> Optional[int]:
        return self.age_at_sight_ns

    def close(self) -> None:
        self.closed = True


def running(frames: int = 30, people: int = 2) -> tuple[Controller, FakeClient]:
    client = FakeClient()
    controller = Controller(LiveSource(client, "board"))
    for frame in range(frames):
        client.coming = [pose_at(frame, people)]
        controller.update(frame / 30)
    return controller, client


def texts(controller: Controller, size: tuple[int, int] = (1280, 720)) -> str:
    return " | ".join(label.text for label in controller.hud(controller.layout(*size), width).labels)


def test_what_is_live_is_said_in_figures() -> None:
    controller, client = running(90)
    client.coming = [health_of("detect", 0, drops={"newer_frame": 3}), health_of("record", 0, recording="session.mcap")]
    client.missed = {"no_room": 4}
    controller.update(3.5)
    said = texts(controller)
    for expected in ("board", "live", "20 / 20 ± 2", "ms old", "30", "fps", "7", "dropped", "REC  session.mcap", "person 0", "person 1"):
        assert expected in said.split(" | "), expected


def test_who_is_there_and_not_followed_is_counted() -> None:
    controller, client = running()
    client.coming = [replace(pose_at(100, 2), left_out=3)]
    controller.update(8.0)
    assert "+ 3" in texts(controller).split(" | ") and "not followed" in texts(controller).split(" | ")


def test_old_data_is_grey_and_says_how_old_it_is() -> None:
    controller, client = running()
    client.state = client.state._replace(connected=False, silent_s=7.0, why="no answer from board")
    controller.update(8.0)
    assert controller.stale and "7 s old · no answer from board" in texts(controller)
    client.state = client.state._replace(connected=True, silent_s=0.0, why="")
    client.coming = [pose_at(100, 2)]
    controller.update(8.5)
    assert not controller.stale and "live" in texts(controller).split(" | ")


def test_the_age_of_what_is_shown_grows_whatever_else_is_heard() -> None:
    controller, client = running()
    for second, silent_s in ((3, 2.0), (4, 0.0), (5, 1.0)):  # a refusal is heard, too
        client.state = client.state._replace(
            connected=False, silent_s=silent_s, refused=not silent_s, why="board refuses: too many viewers"
        )
        controller.update(float(second))
        assert f"{second - 1} s old · board refuses: too many viewers" in texts(controller)


def test_live_means_a_pose_that_is_fresh() -> None:
    controller, client = running()
    client.coming = [replace(health_of("capture", 0), note="the camera is away")]
    controller.update(1.5)
    assert "live" in texts(controller).split(" | ")
    for now_s in (2.5, 3.5):
        client.coming = [health_of("lift", 0), Picture(int(30 * now_s), round(now_s * 1e9), 640, 360, 3, 0, b"abc", ())]
        controller.update(now_s)
        assert controller.stale and f"{now_s - 29 / 30:.0f} s old · capture: the camera is away" in texts(controller)


@pytest.mark.parametrize(("age_s", "delay_s", "live"), [(0.9, 0.0, True), (4.4, 0.0, False), (3.0, 2.4, True), (None, 0.0, True)])
def test_a_pose_that_comes_late_is_not_live(age_s: Optional[float], delay_s: float, live: bool) -> None:
    controller, client = running()
    client.age_at_sight_ns = None if age_s is None else round(age_s * 1e9)
    client.coming = [replace(pose_at(30, 2), delay_ns=round(delay_s * 1e9))]
    controller.update(1.3)
    assert controller.stale != live and ("4 s old" in texts(controller).split(" | ")) != live


def test_a_slow_camera_is_live_between_its_pictures() -> None:
    controller, client = running()
    client.coming = [replace(WELCOME, camera=WELCOME.camera._replace(fps=0.5)), pose_at(30, 2)]
    controller.update(1.0)
    controller.update(6.5)
    assert "live" in texts(controller).split(" | ")
    controller.update(7.5)
    assert controller.stale


def test_a_stream_that_begins_anew_is_shown_from_its_first_pose_on() -> None:
    controller, client = running(120)
    for frame in range(30):  # the same clip, or a board that was started again, by the same connection
        client.coming = [replace(pose_at(frame, 1), incarnation=2), Picture(frame, pose_at(frame, 1).t_ns, 640, 360, 3, 0, b"abc", ())]
        controller.update(5 + frame / 30)
        snapshot = controller.snapshot
        assert snapshot and snapshot.pose and snapshot.image
        assert (snapshot.pose.frame, snapshot.pose.incarnation, snapshot.image.frame, len(controller.joints)) == (frame, 2, frame, 1)
    assert "live" in texts(controller).split(" | ")


def test_another_run_of_the_pipeline_clears_what_is_shown() -> None:
    controller, client = running(60)
    client.coming = [WELCOME, health_of("record", 0, recording="session.mcap"), End("serve", 60, "")]
    controller.update(2.0)
    assert controller.snapshot and controller.snapshot.pose, "the first that is heard of a run is no other one"
    client.coming = [WELCOME]
    controller.update(2.2)
    assert controller.snapshot.pose
    client.coming = [replace(WELCOME, session=2, pipeline=Session(9, "boot", "attic"))]
    controller.update(2.5)
    assert (
        controller.snapshot.pose is None and controller.stale and len(controller.joints) == 0 and controller.source.history.span_ns is None
    )
    assert "no pose yet" in texts(controller).split(" | ") and "session.mcap" not in texts(controller)
    client.coming = [pose_at(3, 1)]
    controller.update(3.0)
    assert controller.snapshot.pose and controller.snapshot.pose.frame == 3 and "live" in texts(controller).split(" | ")


def test_what_is_frozen_outlives_the_run_it_is_of() -> None:
    controller, client = running(60)
    client.coming = [WELCOME]
    controller.update(2.0)
    controller.press("SPACE")
    client.coming = [replace(WELCOME, session=2, pipeline=Session(9, "boot", "attic")), pose_at(3, 1)]
    controller.update(3.0)
    assert controller.snapshot and controller.snapshot.pose and controller.snapshot.pose.frame == 59
    controller.press("SPACE")
    controller.update(3.1)
    assert controller.snapshot.pose.frame == 3


def test_before_anything_came_it_says_what_it_waits_for_and_an_end_is_said() -> None:
    client = FakeClient()
    client.state = client.state._replace(connected=False, silent_s=2.0, why="no answer from board")
    controller = Controller(LiveSource(client, "board"))
    controller.update(0.0)
    assert "connecting · no answer from board" in texts(controller)
    client.state = client.state._replace(connected=True, why="")
    client.coming = [pose_at(0, 1), End("lift", 1, "")]
    controller.update(1.0)
    assert "ended" in texts(controller).split(" | ") and controller.stale
    client.coming = [pose_at(1, 1), End("serve", 2, "", broken="lift")]
    controller.update(2.0)
    assert "ended · lift died" in texts(controller).split(" | ")


def test_space_freezes_arrows_go_through_the_poses_and_space_goes_on() -> None:
    controller, client = running(60)
    assert controller.layout(1280, 720).seek_bar is None
    controller.press("SPACE")
    for frame in range(60, 70):
        client.coming = [pose_at(frame, 2)]
        controller.update(2 + frame / 30)
    assert controller.snapshot and controller.snapshot.pose and controller.snapshot.pose.frame == 59
    assert "frozen, 0.0 s back" in texts(controller) and controller.layout(1280, 720).seek_bar
    controller.press("LEFT")
    controller.press("LEFT", shift=True)
    controller.update(5.0)
    assert controller.snapshot.pose.frame == 59 - 1 - 30
    controller.press("RIGHT")
    controller.update(5.1)
    assert controller.snapshot.pose.frame == 29 and "frozen, 1.0 s back" in texts(controller)
    controller.press("HOME")
    controller.update(5.2)
    assert controller.snapshot.pose.frame == 0
    controller.press("SPACE")
    controller.update(5.3)
    assert controller.snapshot.pose.frame == 69


def test_the_mouse_seeks_on_the_seek_bar() -> None:
    controller, _ = running(61)
    controller.press("SPACE")
    layout = controller.layout(1280, 720)
    assert layout.seek_bar
    assert not controller.seek_at(layout, 600, layout.seek_bar.top - 1)
    assert controller.seek_at(layout, 640, layout.seek_bar.top + 2)
    controller.update(3.0)
    assert controller.snapshot and controller.snapshot.pose and controller.snapshot.pose.frame == 30


def test_record_is_an_order_and_its_answer_is_shown() -> None:
    controller, client = running()
    controller.press("R")
    client.coming = [Answer(True, "recording to session.mcap"), health_of("record", 0, recording="session.mcap")]
    controller.update(2.0)
    assert "recording to session.mcap" in texts(controller)
    controller.press("R")
    assert client.orders == ["record start", "record stop"]
    controller.update(20.0)
    assert "recording to session.mcap" not in texts(controller), "it is shown for a few seconds"


def test_keys_of_views_picture_trails_help_and_the_window() -> None:
    controller, _ = running()
    for key, view in (("1", "front"), ("2", "side"), ("3", "top"), ("4", "follow")):
        controller.press(key)
        assert controller.rig.view == view
    controller.press("TAB")
    assert controller.rig.followed == 0
    assert controller.layout(1280, 720).picture
    controller.press("P")
    assert controller.layout(1280, 720).picture is None
    controller.press("T")
    assert not controller.trails_on
    controller.press("?")
    assert all(key in texts(controller) and what in texts(controller) for key, what in KEYS)
    assert controller.press("ESCAPE") is None and not controller.keys_open
    assert [controller.press(key) for key in ("S", "F", "Q", "ESCAPE", "X")] == [
        "screenshot",
        "fullscreen",
        "quit",
        "leave_fullscreen",
        None,
    ]


def test_pictures_are_asked_for_once_a_size_and_not_at_all_where_none_is_shown() -> None:
    source = LiveSource(client := FakeClient(), "board")
    for wide in (800, 800, 640, 0):
        source.request_pictures(wide)
    assert [(wide, rate > 0) for wide, _, rate in client.wants] == [(800, True), (640, True), (1, False)]


@pytest.mark.parametrize("up_m", [3.0, -3.0])
def test_somebody_else_on_a_roof_is_seen_with_the_ground_under_their_feet(up_m: float) -> None:
    controller, client = running(people=1)
    for frame in range(30, 75):
        pose = pose_at(frame, 1)
        pose = replace(pose, person=pose.person + 7, root_m=pose.root_m - np.array([0, up_m, 0], np.float32))
        client.coming = [pose]
        controller.update(frame / 30)
        assert abs(controller.rig.ground_m - ground_m_below(controller.joints)) < 0.2
        panel = controller.layout(1280, 720).scene
        x_px, y_px, _ = project(controller.rig.camera, panel, controller.joints.reshape(-1, 3)).T
        assert all(panel.contains(x, y) for x, y in zip(x_px, y_px)), f"from their first frame on, not only after {frame - 30}"


def test_one_person_who_climbs_is_not_lost_from_sight() -> None:
    controller, client = running(people=1)
    for frame in range(30, 120):
        pose = pose_at(frame, 1)
        up_m = min((frame - 30) / 30, 2.5)
        client.coming = [replace(pose, root_m=pose.root_m - np.array([0, up_m, 0], np.float32))]
        controller.update(frame / 30)
        panel = controller.layout(1280, 720).scene
        x_px, y_px, _ = project(controller.rig.camera, panel, controller.joints[:, 0]).T
        assert panel.contains(float(x_px[0]), float(y_px[0])), frame


def test_nothing_new_is_not_drawn_again() -> None:
    controller, client = running(300)
    now_s = 10.0
    for _ in range(200):  # the camera comes to rest
        now_s += 0.05
        controller.update(now_s)
    assert not any(controller.update(now_s + 0.001 * tick) for tick in range(1, 5))
    client.coming = [pose_at(301, 2)]
    assert controller.update(now_s + 0.01)


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160), (640, 480), (480, 320), (700, 1200), (2560, 1080)])
@pytest.mark.parametrize("aspect", [16 / 9, 9 / 16, None])
@pytest.mark.parametrize("line", [True, False])
def test_panels_lie_within_the_window_beside_each_other(size: tuple[int, int], aspect: Optional[float], line: bool) -> None:
    layout = arrange(*size, aspect, line)
    panels = [panel for panel in (layout.header, layout.picture, layout.scene, layout.seek_bar) if panel]
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
    data = HudData(
        "a board with quite a long name", "stale", 12.0, 0, "no answer from 192.168.100.200:5570 for 12 s; trying again", people=4
    )
    data = data._replace(rate_hz=29.7, ages_ms=(41.0, 66.0), age_error_ms=3.0, drops=123456, recording="session.12.mcap")
    layout = arrange(*size, 16 / 9, True)

    def wide(text: str, style: str) -> float:
        return 8.5 * layout.unit * len(text)

    hud = compose(layout, data, person_rows(pose_at(3, 4), 2, False), SeekBar(0.5, "-0:12.3", "now", False), False, wide)

    def ends(label: Label) -> tuple[float, float]:
        left = label.x - {"left": 0.0, "right": 1.0, "centre": 0.5}[label.align] * wide(label.text, label.style)
        return left, left + wide(label.text, label.style)

    for label in hud.labels:
        assert ends(label)[0] >= 0 and ends(label)[1] <= size[0] and 0 < label.baseline < size[1], label
    for line in {label.baseline for label in hud.labels}:
        spans = sorted(ends(label) for label in hud.labels if label.baseline == line and label.text)
        assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:])), spans


def test_the_text_of_the_hud() -> None:
    assert (time_text(0), time_text(72.34), time_text(-4.5), time_text(3599.99)) == ("0:00.0", "1:12.3", "-0:04.5", "60:00.0")
    assert status_text(HudData("b", "live", delay_s=2.42))[0] == "live · 3D 2.4 s behind"
    assert metrics(HudData("b", people=1)) == [("1", "person")]
    assert metrics(HudData("b", people=0, ages_ms=(10.4, 20.6), age_error_ms=0.1))[1] == ("10 / 21", "ms old")
    pose = pose_at(3, 1)
    (row,) = person_rows(pose, 0, False)
    assert row.followed and row.details[0] == f"{100 * pose.confidence[:, :17].mean():.0f} % sure" and row.details[2].endswith("m away")
    assert person_rows(None, None, False) == []


def test_pictures_come_with_the_keypoints_of_their_own_frame() -> None:
    controller, client = running(30)
    client.coming = [Picture(20, pose_at(20, 2).t_ns, 640, 360, 3, 0, b"abc", ())]
    controller.update(2.0)
    assert controller.snapshot and controller.snapshot.overlay and controller.snapshot.overlay.frame == 20
    assert controller.picture_size == (1280, 720) and np.isclose(controller.focal_px, 1.1 * 1280)
