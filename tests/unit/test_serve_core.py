"""serve without its sockets and clock: who gets what and when, whose order is answered how, and what is said of those who talk nonsense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import msgpack
import pytest

from bench.people import health_of, pose_at
from poselift.app.config import Config
from poselift.app.dataflow.frames import Overwritten
from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, Frame, Pose3D, Stamp, encode
from poselift.app.dataflow.session import Session
from poselift.app.recording.orders import NO_RECORDER, RECORD_START, RECORD_STOP
from poselift.app.remote.frame_pacing import MAX_WAIT_NS
from poselift.app.remote.send_queue import PictureSize
from poselift.app.remote.sessions import Peer, ServerInfo
from poselift.app.remote.wire import SILENT_S, Camera, Hello, Picture, Ping, Pong, Refused, Taken, Want, Welcome, from_board
from poselift.workers.serve import ANSWER_WITHIN_S, BAD_MESSAGE, Serve

S, MS = 10**9, 10**6
INFO = ServerInfo("attic", "0.1.0", (), Camera(0, 0, 0.0, 0.0, True, 1.7), Session(5, "boot", "attic"))


class World:
    """All that lies around serve, and its clock."""

    def __init__(self, **config: Any) -> None:
        self.now_ns = 100 * S
        self.got: dict[bytes, list[Any]] = {}
        self.orders: list[str] = []
        self.forgotten = 0
        self.rights: dict[bytes, Optional[bool]] = {}
        self.compressed: list[tuple[int, PictureSize]] = []
        self.overwritten: set[int] = set()
        self.room = True
        tree = {"serve": {"address": "127.0.0.1:5570"}, **config}
        self.serve = Serve(Config().changed(**tree), INFO, 1, self)

    def send(self, peer: bytes, data: bytes) -> bool:
        if self.room:
            self.got.setdefault(peer, []).append(from_board(data))
        return self.room

    def refreshed(self, peer: Peer) -> Optional[Peer]:
        right = self.rights.get(peer.routing_id, peer.may_control)
        return None if right is None else peer._replace(may_control=right)

    def order(self, command: str) -> None:
        self.orders.append(command)

    def forget_order(self) -> None:
        self.forgotten += 1

    def picture(self, frame: Frame, size: PictureSize) -> Picture:
        self.compressed.append((frame.frame, size))
        if frame.frame in self.overwritten:
            raise Overwritten
        return Picture(frame.frame, frame.t_ns, size.width_px, 480, 3, 0, b"abc", frame.trace)

    def says(self, peer: bytes, message: Any, after_ms: int = 0) -> None:
        self.now_ns += after_ms * MS
        data = message if isinstance(message, bytes) else encode(message)
        self.serve.hear(Peer(peer, peer.decode(), peer.decode(), "10.0.0.5", self.rights.get(peer, True) is True), data, self.now_ns)

    def comes(self, peer: bytes, want: Optional[Want] = None) -> None:
        self.says(peer, Hello("0.1.0", "laptop", peer[0]))
        if want:
            self.says(peer, want)
        self.turn()

    def turn(self, after_ms: int = 0) -> None:
        self.now_ns += after_ms * MS
        self.serve.turn(self.now_ns)

    def frame(self, number: int) -> None:
        stamp = Stamp("capture", self.now_ns, self.now_ns)
        self.serve.step(Frame(number, number * 33 * MS, 640, 480, 30.0, 0, 0, 0, "ring", b"", 1, (stamp,)), self.now_ns)

    def pose(self, number: int) -> None:
        self.serve.step(pose_at(number, 1), self.now_ns)

    def of(self, peer: bytes, kind: type) -> list[Any]:
        return [message for message in self.got.get(peer, []) if isinstance(message, kind)]


@pytest.fixture
def world() -> World:
    return World(record={"folder": "rec"})


def test_a_pose_is_sent_when_it_comes_and_not_at_the_next_turn(world: World) -> None:
    world.comes(b"a"), world.comes(b"b")
    world.pose(0)
    assert [[pose.frame for pose in world.of(peer, Pose3D)] for peer in (b"a", b"b")] == [[0], [0]]


def test_the_ends_of_the_workers_are_not_the_viewers_end(world: World) -> None:
    world.comes(b"a")
    world.serve.step(End("capture", 5, ""), world.now_ns)
    world.turn()
    assert not world.of(b"a", End)
    world.serve.end(End("serve", 5, "short"), world.now_ns)
    assert world.of(b"a", End) == [End("serve", 5, "short")]


def test_the_last_word_is_waited_for_until_it_was_taken(world: World) -> None:
    world.comes(b"a")
    (welcome,) = world.of(b"a", Welcome)
    world.pose(0)
    world.frame(1)
    world.serve.end(End("serve", 5, ""), world.now_ns)
    assert not world.serve.drained
    world.says(b"a", Taken(welcome.session, 2, 0))
    world.serve.send(world.now_ns + MAX_WAIT_NS * 2)
    assert world.serve.drained and isinstance(world.got[b"a"][-1], End), "no picture behind it"


def test_a_picture_is_compressed_when_its_pose_is_there_once_a_size(world: World) -> None:
    for peer, width_px in ((b"a", 320), (b"b", 320), (b"c", 640)):
        world.comes(peer, Want(width_px, 80, 15.0))
    world.frame(0)
    world.turn(after_ms=20)
    assert world.compressed == []
    world.pose(0)
    world.turn()
    assert sorted(world.compressed) == [(0, PictureSize(320, 80)), (0, PictureSize(640, 80))]
    assert [[picture.width_px for picture in world.of(peer, Picture)] for peer in (b"a", b"b", b"c")] == [[320], [320], [640]]


def test_a_frame_whose_pose_does_not_come_is_shown_without(world: World) -> None:
    world.comes(b"a", Want(320, 80, 15.0))
    world.frame(0)
    world.turn(after_ms=MAX_WAIT_NS // MS + 1)
    assert [picture.frame for picture in world.of(b"a", Picture)] == [0]


def test_nobody_who_looks_costs_no_picture(world: World) -> None:
    world.comes(b"a")
    world.frame(0), world.pose(0), world.turn()
    assert world.compressed == [] and world.serve.drops == {}


def test_a_frame_that_is_overwritten_is_counted_for_each_who_wanted_it(world: World) -> None:
    world.comes(b"a", Want(320, 80, 15.0)), world.comes(b"b", Want(320, 80, 15.0))
    world.overwritten = {0}
    for number in (0, 1):
        world.frame(number), world.pose(number), world.turn(after_ms=100)
    assert world.serve.drops == {"overwritten": 2}
    assert [[picture.frame for picture in world.of(peer, Picture)] for peer in (b"a", b"b")] == [[1], [1]]


def test_the_cameras_facts_are_told_with_its_first_picture_and_when_they_change(world: World) -> None:
    world.comes(b"a")
    for number in range(3):
        world.frame(number), world.turn()
    assert [welcome.camera.width_px for welcome in world.of(b"a", Welcome)] == [0, 640]
    assert world.of(b"a", Welcome)[-1].camera.focal_px == pytest.approx(1.1 * 640)


def test_an_order_is_given_once_and_its_answer_goes_to_who_gave_it(world: World) -> None:
    world.comes(b"a"), world.comes(b"b")
    world.says(b"a", Control(RECORD_START))
    world.says(b"b", Control(RECORD_STOP))
    world.turn()
    assert world.orders == [RECORD_START]
    assert [answer.ok for answer in world.of(b"b", Answer)] == [False] and "busy with another order" in world.of(b"b", Answer)[0].text
    world.serve.answered(Answer(True, "recording to a.mcap"))
    world.serve.answered(Answer(True, "nobody asked for this"))
    world.turn()
    assert world.of(b"a", Answer) == [Answer(True, "recording to a.mcap")] and len(world.of(b"b", Answer)) == 1
    world.says(b"b", Control(RECORD_STOP))
    assert world.orders == [RECORD_START, RECORD_STOP]


def test_an_order_that_nobody_answers_is_given_up_and_a_late_answer_is_not_the_next_ones(world: World) -> None:
    world.comes(b"a")
    world.says(b"a", Control(RECORD_START))
    for _ in range(round(ANSWER_WITHIN_S) + 1):
        assert not world.of(b"a", Answer)
        world.says(b"a", Ping(1), after_ms=1000)
        world.turn()
    assert world.of(b"a", Answer) == [Answer(False, "the recorder has not answered for 10 s")] and world.forgotten == 1
    world.turn(after_ms=1000)
    assert len(world.of(b"a", Answer)) == 1 and world.forgotten == 1
    world.says(b"a", Control(RECORD_STOP))
    assert world.orders == [RECORD_START, RECORD_STOP]


def test_who_left_gets_no_answer_and_nobody_else_does(world: World) -> None:
    world.comes(b"a")
    world.says(b"a", Control(RECORD_START))
    world.turn(after_ms=round(SILENT_S * 1000) + 1)
    assert world.serve.viewers == 0
    world.comes(b"b")
    world.serve.answered(Answer(True, "recording"))
    world.turn()
    assert not world.of(b"a", Answer) and not world.of(b"b", Answer)


def test_what_a_viewer_may_order_is_said() -> None:
    world = World()
    world.comes(b"a")
    for command in (RECORD_START, "stop", "status"):
        world.says(b"a", Control(command))
    world.serve.step(replace(health_of("lift", 0), state="running", rate_hz=29.96, note="slow"), world.now_ns)
    world.says(b"a", Control("status"))
    world.turn()
    recorder, stop, before, after = world.of(b"a", Answer)
    assert recorder == Answer(False, NO_RECORDER) and world.orders == []
    assert stop == Answer(False, "a viewer cannot order 'stop'; it can: record start, record stop, status")
    assert (before.text, after.text) == ("no worker has said anything yet", "lift running, 30.0/s, slow")


def test_who_is_not_admitted_any_more_gets_nothing_from_then_on(world: World) -> None:
    world.comes(b"a"), world.comes(b"b")
    world.room = False
    world.pose(0)
    world.room = True
    world.rights[b"a"] = None
    world.turn()
    world.pose(1)
    assert not world.of(b"a", Pose3D) and world.serve.viewers == 1, "not even what waited for it"
    assert [pose.frame for pose in world.of(b"b", Pose3D)] == [0, 1]


def test_a_right_that_changes_is_told_and_holds_at_once(world: World) -> None:
    world.comes(b"a")
    world.rights[b"a"] = False
    world.turn()
    assert [welcome.may_control for welcome in world.of(b"a", Welcome)] == [True, False]
    world.says(b"a", Control(RECORD_START))
    world.turn()
    assert world.orders == [] and "may look only" in world.of(b"a", Answer)[0].text


def test_nonsense_is_counted_and_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.comes(b"a")
    for number in range(50):
        world.says(b"x", bytes([number]))
    world.says(b"x", Pong(1, 2))
    world.turn()
    assert world.serve.drops == {BAD_MESSAGE: 51} and b"x" not in world.got
    assert caplog.messages == ["refused 10.0.0.5: it sends what no viewer says"]
    world.says(b"a", Ping(1))
    world.turn(after_ms=0)
    assert world.of(b"a", Pong), "the others are heard"


def test_another_schema_is_answered_with_which_side_to_update(world: World, caplog: pytest.LogCaptureFixture) -> None:
    newer = {**msgpack.unpackb(encode(Hello("9.0", "of tomorrow", 1))), "schema": SCHEMA + 1}
    world.says(b"x", msgpack.packb(newer))
    world.turn()
    (refused,) = world.of(b"x", Refused)
    assert "update this side" in refused.why and len(caplog.messages) == 1 and world.serve.viewers == 0


def test_what_viewers_miss_and_what_was_dropped_for_all_are_told_together(world: World) -> None:
    world.comes(b"a")
    world.says(b"x", b"nonsense")
    world.room = False
    for number in range(5):
        world.pose(number)
    assert world.serve.drops == {BAD_MESSAGE: 1, "no_room:a": 4}
