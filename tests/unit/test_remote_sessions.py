"""Who is there, what each viewer may have and do, and what is said to those who are refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from poselift.app.config import ServeConfig
from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, MessageError, OtherSchema, encode
from poselift.app.dataflow.session import Session
from poselift.app.remote.send_queue import MAX_ANSWERS, PictureSize, SendQueue
from poselift.app.remote.sessions import MAX_NAMES, Peer, ServerInfo, ViewerSessions
from poselift.app.remote.wire import (
    SILENT_S,
    Camera,
    Hello,
    Missed,
    ModelCard,
    Picture,
    Ping,
    Pong,
    Refused,
    Taken,
    Want,
    Welcome,
    from_board,
)

S = 10**9
CAMERA = Camera(640, 480, 30.0, 704.0, True, 1.7)
INFO = ServerInfo("attic", "0.1.0", (ModelCard("lifter", "Apache-2.0", 27),), CAMERA, Session(5, "boot", "attic"))


class Talk:
    """A board, and what it sent to whom."""

    def __init__(self, **limits: Any) -> None:
        self.sessions = ViewerSessions(ServeConfig(**limits), INFO)
        self.now_ns = 100 * S
        self.gone: set[bytes] = set()

    def say(self, routing_id: bytes, message: Any, **who: Any) -> Control | None:
        peer = Peer(routing_id, **{"user": "", "name": "", "address": "127.0.0.1", "may_control": True, **who})
        return self.sessions.receive(peer, encode(message), self.now_ns)

    def hello(self, peer: bytes, instance: int | None = None, name: str = "laptop", **who: Any) -> list[Any]:
        self.say(peer, Hello("0.1.0", name, peer[0] if instance is None else instance), **who)
        return self.sent().get(peer, [])

    def sent(self) -> dict[bytes, list[Any]]:
        found: dict[bytes, list[Any]] = {}

        def send(peer: bytes, data: bytes) -> bool:
            if peer in self.gone:
                raise ConnectionError
            found.setdefault(peer, []).append(from_board(data))
            return True

        self.sessions.flush(send, self.now_ns)
        return found


@pytest.fixture
def talk() -> Iterator[Talk]:
    return Talk()


def test_who_says_hello_is_told_what_there_is(talk: Talk) -> None:
    (welcome,) = talk.hello(b"1")
    assert isinstance(welcome, Welcome)
    assert ServerInfo(welcome.board, welcome.version, welcome.models, welcome.camera, welcome.pipeline) == INFO
    assert (welcome.max_width_px, welcome.max_quality, welcome.max_rate_hz, welcome.may_control) == (1280, 85, 15.0, True)
    assert len(welcome.keypoints) == len(welcome.joints) == len(welcome.joint_parents) == 21
    assert all(0 <= joint < 21 for pair in welcome.keypoint_bones for joint in pair)


def test_who_has_said_no_hello_gets_nothing(talk: Talk) -> None:
    for message in (Ping(1), Want(640, 80, 15.0), Taken(0, 0, 0), Control("status")):
        assert talk.say(b"1", message) is None
    talk.sessions.publish(End("lift", 1, ""))
    assert talk.sent() == {} and not talk.sessions.open


def test_hello_again_is_answered_and_changes_nothing(talk: Talk) -> None:
    (first,) = talk.hello(b"1")
    assert talk.hello(b"1") == [first] and len(talk.sessions.open) == 1


def test_sessions_differ(talk: Talk) -> None:
    assert talk.hello(b"1")[0].session != talk.hello(b"2")[0].session


def test_an_order_is_for_those_who_may(talk: Talk) -> None:
    talk.hello(b"1")
    talk.hello(b"2", may_control=False)
    assert talk.say(b"1", Control("record start")) == Control("record start")
    assert talk.say(b"2", Control("record start")) is None
    (answer,) = talk.sent()[b"2"]
    assert not answer.ok and "this viewer may look only" in answer.text
    talk.sessions.answer(b"1", Answer(True, "done"))
    talk.sessions.answer(b"3", Answer(True, "nobody is there"))
    assert talk.sent() == {b"1": [Answer(True, "done")]}


def test_rights_that_change_are_told(talk: Talk) -> None:
    talk.hello(b"1")
    (session,) = talk.sessions.open.values()
    talk.sessions.update_peer(session, session.peer)
    assert talk.sent() == {}
    talk.sessions.update_peer(session, session.peer._replace(may_control=False))
    assert [message.may_control for message in talk.sent()[b"1"]] == [False]
    assert talk.say(b"1", Control("status")) is None


def test_a_change_of_the_camera_is_told_once(talk: Talk) -> None:
    talk.hello(b"1")
    talk.sessions.set_camera(CAMERA)
    assert talk.sent() == {}
    talk.sessions.set_camera(CAMERA._replace(width_px=1280))
    assert [message.camera.width_px for message in talk.sent()[b"1"]] == [1280]


def test_there_is_an_end_to_how_many_may_look() -> None:
    talk = Talk(max_viewers=2)
    talk.hello(b"1"), talk.hello(b"2")
    (refused,) = talk.hello(b"3")
    assert isinstance(refused, Refused) and "there are 2 viewers already (serve.max_viewers)" in refused.why
    assert talk.sessions.open.keys() == {b"1", b"2"}
    talk.now_ns += round(SILENT_S * S) + 1
    talk.say(b"2", Ping(1))
    talk.sessions.close_silent(talk.now_ns)
    assert isinstance(talk.hello(b"3")[0], Welcome) and talk.sessions.open.keys() == {b"2", b"3"}


def test_a_viewer_takes_its_own_place_but_nobody_elses() -> None:
    talk = Talk(max_viewers=2)
    talk.hello(b"1", 11, user="k1"), talk.hello(b"2", 22, user="k2")
    assert isinstance(talk.hello(b"3", 11, user="k1")[0], Welcome)
    assert talk.sessions.open.keys() == {b"2", b"3"}
    assert isinstance(talk.hello(b"4", 22, user="k1")[0], Refused), "the instance of another key"


def test_who_is_gone_is_forgotten(talk: Talk) -> None:
    talk.hello(b"1"), talk.hello(b"2")
    talk.gone = {b"1"}
    talk.sessions.publish(End("lift", 1, ""))
    assert talk.sent().keys() == {b"2"} and talk.sessions.open.keys() == {b"2"}


def test_a_refusal_to_somebody_who_is_gone_is_no_trouble(talk: Talk) -> None:
    talk.gone = {b"9"}
    talk.sessions.refuse(b"9", "no")
    assert talk.sent() == {} == talk.sent()


def test_what_is_no_viewers_message_is_told_by_its_kind(talk: Talk) -> None:
    peer = Peer(b"1", "", "", "127.0.0.1", True)
    with pytest.raises(OtherSchema, match="update this side"):
        talk.sessions.receive(peer, msgpack.packb({**msgpack.unpackb(encode(Ping(1))), "schema": SCHEMA + 1}), 0)
    for data in (b"", b"\x80", encode(Pong(1, 2)), b"x" * 4000):
        with pytest.raises(MessageError):
            talk.sessions.receive(peer, data, 0)
    assert talk.sent() == {}


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (Want(640, 80, 5.0), PictureSize(640, 80)),
        (Want(100_000, 100, 5.0), PictureSize(1280, 85)),
        (Want(-5, -5, 5.0), PictureSize(16, 1)),
        (Want(640, 80, float("inf")), PictureSize(640, 80)),
        (Want(640, 80, 0.0), None),
        (Want(640, 80, -1.0), None),
        (Want(640, 80, float("nan")), None),
        (None, None),
    ],
)
def test_pictures_are_within_the_boards_limits(talk: Talk, wanted: Want | None, size: PictureSize | None) -> None:
    talk.hello(b"1")
    if wanted:
        talk.say(b"1", wanted)
    assert list(talk.sessions.picture_requests(talk.now_ns)) == ([size] if size else [])


def test_those_who_want_the_same_share_one_picture(talk: Talk) -> None:
    for peer, width_px in ((b"1", 640), (b"2", 640), (b"3", 320)):
        talk.hello(peer)
        talk.say(peer, Want(width_px, 80, 15.0))
    assert {size: len(queues) for size, queues in talk.sessions.picture_requests(talk.now_ns).items()} == {
        PictureSize(640, 80): 2,
        PictureSize(320, 80): 1,
    }
    assert talk.sessions.picture_requests(talk.now_ns + S // 1000) == {}, "not more often than wanted"


def pictures(talk: Talk, frames: range, rates_hz: dict[bytes, float], jitter_ms: int = 0) -> dict[bytes, list[int]]:
    """The frames of a 30 fps camera, late by up to the jitter, that each viewer is shown who asks so each time and takes all at once."""
    shown: dict[bytes, list[int]] = {peer: [] for peer in rates_hz}
    late = random.Random(7)
    for number in frames:
        talk.now_ns = 5 * S + number * S // 30 + late.randint(0, jitter_ms * S // 1000)
        for peer, rate_hz in rates_hz.items():
            if peer not in talk.sessions.open:
                talk.hello(peer)
            talk.say(peer, Want(640, 80, rate_hz))
        for queues in talk.sessions.picture_requests(talk.now_ns).values():
            for queue in queues:
                queue.put_picture(Picture(number, 0, 640, 480, 3, 0, b"abc", ()))
        for peer, messages in talk.sent().items():
            shown[peer] += [it.frame for it in messages if isinstance(it, Picture)]
            session = talk.sessions.open[peer]
            session.queue.acknowledge(Taken(session.number, session.queue._window.sent, session.queue._pictures_begun), talk.now_ns)
    return shown


@pytest.mark.parametrize("jitter_ms", [0, 11])
def test_pictures_come_as_often_as_wanted_and_regularly(talk: Talk, jitter_ms: int) -> None:
    shown = pictures(talk, range(300), {b"1": 10.0, b"2": 15.0, b"3": 12.0}, jitter_ms)
    assert shown[b"1"] == [*range(0, 300, 3)] and shown[b"2"] == [*range(0, 300, 2)]
    assert 115 <= len(shown[b"3"]) <= 121


def test_those_who_want_equally_many_see_the_same_frames(talk: Talk) -> None:
    before = pictures(talk, range(31), {b"1": 15.0})[b"1"]
    shown = pictures(talk, range(31, 91), {b"1": 15.0, b"2": 15.0})
    assert before[-1] == 30 and shown[b"1"] == shown[b"2"] == [*range(32, 91, 2)]


def test_asking_again_brings_no_more_pictures_and_asking_for_more_brings_them_at_once(talk: Talk) -> None:
    assert pictures(talk, range(60), {b"1": 1.0})[b"1"] == [0, 30]
    assert pictures(talk, range(60, 90), {b"1": 10.0})[b"1"] == [*range(60, 90, 3)]


def test_asking_for_a_little_more_and_less_in_turn_brings_no_more(talk: Talk) -> None:
    shown = [number for each in range(90) for number in pictures(talk, range(each, each + 1), {b"1": 15.0 - each % 2 / 100})[b"1"]]
    assert shown == [*range(0, 90, 2)]


def test_what_cannot_have_been_taken_is_not_believed() -> None:
    queue = SendQueue()
    queue.request_pictures(PictureSize(640, 80), 10.0)
    shown = 0
    for now_ns in range(0, 10**9, 10**8):
        queue.acknowledge(Taken(1, 10**12, 10**12), now_ns)
        if queue.picture_due(now_ns):
            shown += 1
            queue.put_picture(Picture(shown, 0, 640, 480, 3, 0, b"abc", ()))
            queue.flush(lambda _: True, now_ns)
    assert shown == 2
    queue.acknowledge(Taken(1, -5, -5), 0)
    queue.acknowledge(Taken(1, 2, 2), 0)
    assert queue.picture_due(2 * 10**9)


def test_who_asks_without_reading_is_not_answered_for_ever() -> None:
    queue = SendQueue()
    for number in range(1000):
        queue.answer(Pong(number, 0))
    sent: list[bytes] = []
    queue.flush(lambda data: bool(sent.append(data)) or True, 0)
    assert [from_board(data).sent_ns for data in sent[:MAX_ANSWERS]] == list(range(MAX_ANSWERS))
    assert from_board(sent[-1]) == Missed({"no_room:Pong": 1000 - MAX_ANSWERS}) and len(sent) == MAX_ANSWERS + 1


def test_viewers_of_one_host_are_told_apart(talk: Talk) -> None:
    for peer in (b"1", b"2", b"3"):
        talk.hello(peer, name="laptop")
    assert [session.name for session in talk.sessions.open.values()] == ["laptop", "laptop-2", "laptop-3"]
    for _ in range(MAX_ANSWERS + 3):
        talk.say(b"2", Ping(1))
    assert talk.sessions.drops == {"no_room:laptop-2": 3}
    talk.sessions.close(b"1", "left")
    talk.hello(b"4", name="laptop"), talk.hello(b"5", b"2"[0], name="laptop")  # the last is the second, by a new connection
    assert [session.name for session in talk.sessions.open.values()] == ["laptop-3", "laptop", "laptop-2"]


def test_drops_are_told_by_viewer_also_of_those_who_left(talk: Talk) -> None:
    for number in range(2 * MAX_NAMES):
        peer = bytes([number + 1])
        talk.hello(peer, name=f"viewer {number}")
        for _ in range(MAX_ANSWERS + 3):
            talk.say(peer, Ping(1))
        talk.gone = {peer}
        talk.sent()
    assert not talk.sessions.open
    assert talk.sessions.drops["no_room:viewer-0"] == 3
    assert talk.sessions.drops["no_room:others"] == 3 * MAX_NAMES and len(talk.sessions.drops) == MAX_NAMES + 1
