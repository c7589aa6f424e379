"""A viewer finds its board again by itself, and says why it is not connected."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, encode
from poselift.app.remote.client_protocol import (
    ACKNOWLEDGE_NS,
    AWAY_S,
    FIRST_PINGS,
    RECONNECT_S,
    REFUSED_S,
    ClientProtocol,
    HandshakeFailure,
)
from poselift.app.remote.wire import MAX_PICTURE_BYTES, PING_S, Camera, Hello, Missed, Picture, Ping, Pong, Refused, Taken, Want, Welcome

S = 10**9
HELLO = Hello("0.1.0", "laptop", 7)


def a_welcome(session: int = 1) -> Welcome:
    return Welcome(session, "attic", "0.1.0", True, 1280, 85, 15.0, Camera(0, 0, 0.0, 0.0, True, 1.7), (), (), (), (), ())


class Talk:
    def __init__(self) -> None:
        self.now_ns = 50 * S
        self.viewer = ClientProtocol("attic:5570", HELLO, self.now_ns)

    def after(self, seconds: float) -> list[Any]:
        self.now_ns += round(seconds * S)
        return self.viewer.outgoing(self.now_ns)

    def hear(self, message: Any) -> Any:
        return self.viewer.receive(encode(message), self.now_ns)

    @property
    def state(self) -> Any:
        return self.viewer.state(self.now_ns)


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def welcomed(talk: Talk) -> Talk:
    talk.hear(a_welcome())
    return talk


def test_hello_until_there_is_an_answer(talk: Talk) -> None:
    assert [talk.after(0.25) for _ in range(5)] == [[HELLO], [], [HELLO], [], [HELLO]]
    assert not talk.state.connected and not talk.state.refused
    assert talk.state.why == "no answer from attic:5570 for 1 s; is it the right address, and does the board serve there?"
    assert talk.hear(a_welcome()) == a_welcome()
    assert talk.state.connected and talk.state.why == ""
    assert [type(message) for message in talk.after(1)] == [Ping, Want]


def test_pings_are_quick_at_first_and_go_on(welcomed: Talk) -> None:
    times = [
        step
        for step in range(200)
        if any(isinstance(message, Ping) for message in welcomed.after(0.05)) and welcomed.hear(Pong(1, 2)) is None
    ]
    assert times[: FIRST_PINGS - 1] == list(range(FIRST_PINGS - 1))
    assert {later - earlier for earlier, later in zip(times[FIRST_PINGS:], times[FIRST_PINGS + 1 :])} == {round(PING_S / 0.05)}


def test_the_offset_of_the_clocks(welcomed: Talk) -> None:
    assert welcomed.state.offset_ns is None and welcomed.viewer.board_ns(5) is None
    sent_ns = welcomed.now_ns
    welcomed.now_ns += 1000
    welcomed.hear(Pong(sent_ns, sent_ns + 500 + 3 * S))
    assert (welcomed.state.offset_ns, welcomed.state.offset_error_ns) == (3 * S, 501)
    assert welcomed.viewer.board_ns(welcomed.now_ns) == welcomed.now_ns + 3 * S


def test_what_has_come_is_acknowledged(welcomed: Talk) -> None:
    welcomed.after(0)
    for _ in range(3):
        welcomed.hear(Missed({"no_room:Pose3D": 2}))
    assert welcomed.viewer.missed == {"no_room:Pose3D": 2}
    assert Taken(1, 3, 0) in welcomed.after(0)
    assert Taken not in [type(message) for message in welcomed.after(0)]
    acknowledged_ns = welcomed.now_ns
    welcomed.hear(Missed({"no_room:Pose3D": 2}))
    assert Taken(1, 4, 0) not in welcomed.after(0), "not again so soon"
    assert welcomed.viewer.due_ns() == acknowledged_ns + ACKNOWLEDGE_NS
    assert Taken(1, 4, 0) in welcomed.after(ACKNOWLEDGE_NS / S)


def test_what_is_wanted_is_said_to_every_new_board(welcomed: Talk) -> None:
    want = Want(640, 80, 10.0)
    welcomed.viewer.request_pictures(want)
    assert want in welcomed.after(0)
    assert want not in welcomed.after(0)
    welcomed.hear(a_welcome(1))
    assert want not in welcomed.after(0), "the same session: only the facts are new"
    welcomed.hear(a_welcome(2))
    assert want in welcomed.after(0)


def test_a_silent_board_is_asked_anew_then_by_a_new_connection(welcomed: Talk) -> None:
    welcomed.after(0)
    assert HELLO not in welcomed.after(AWAY_S - 0.1)
    assert welcomed.state.connected
    assert HELLO in welcomed.after(0.2)
    assert not welcomed.state.connected and welcomed.state.why == "nothing heard from attic:5570 for 2 s; trying again"
    assert not welcomed.viewer.needs_reconnect(welcomed.now_ns)
    welcomed.after(RECONNECT_S - AWAY_S)
    assert welcomed.viewer.needs_reconnect(welcomed.now_ns)
    welcomed.viewer.reconnected(welcomed.now_ns)
    assert not welcomed.viewer.needs_reconnect(welcomed.now_ns)
    assert welcomed.after(0) == [HELLO], "nobody there knows us yet"
    assert welcomed.hear(Missed({})) is None, "what is not this session's counts for nothing"
    welcomed.hear(a_welcome(9))
    welcomed.hear(Missed({}))
    assert welcomed.state.connected and Taken(9, 1, 0) in welcomed.after(0)


def test_a_refusal_is_told_and_asked_again_later(talk: Talk) -> None:
    talk.after(0)
    talk.hear(Refused("there are 16 viewers already"))
    assert talk.state.refused and talk.state.why == "attic:5570 refuses: there are 16 viewers already"
    assert talk.after(REFUSED_S - 0.1) == [] and talk.after(0.2) == [HELLO]
    talk.after(2 * REFUSED_S)
    assert not talk.state.refused and "nothing heard" in talk.state.why, "now it is not even refusing"
    talk.hear(a_welcome())
    assert talk.state.connected and not talk.state.refused


@pytest.mark.parametrize(("schema", "where"), [(SCHEMA + 1, "here"), (SCHEMA - 1, "there")])
def test_another_schema_says_where_to_update(welcomed: Talk, schema: int, where: str) -> None:
    welcomed.viewer.receive(msgpack.packb({"schema": schema, "type": "Refused", "of": "a form that nobody knows"}), welcomed.now_ns)
    assert not welcomed.state.connected and welcomed.state.refused
    assert welcomed.state.why == f"attic:5570 speaks schema {schema} of the messages, this poselift {SCHEMA}: update poselift {where}"


@pytest.mark.parametrize("data", [b"", b"\x80", b"HTTP/1.1 400", encode(Ping(1))])
def test_what_is_no_board_is_told(talk: Talk, data: bytes) -> None:
    assert talk.viewer.receive(data, talk.now_ns) is None
    assert talk.state.refused and talk.state.why.startswith("what answers at attic:5570 is no poselift that this one knows (")


def test_a_key_that_is_not_admitted_is_told(talk: Talk) -> None:
    talk.viewer.handshake_failed(HandshakeFailure.NOT_ADMITTED, True, talk.now_ns)
    assert talk.state.refused and "does not admit this machine's key" in talk.state.why


def test_a_connection_that_does_not_come_about_is_told(talk: Talk) -> None:
    talk.viewer.handshake_failed(HandshakeFailure.OTHER, True, talk.now_ns)
    assert not talk.state.refused and "is no poselift, or has another key" in talk.state.why


def test_while_connections_fail_no_new_one_is_tried_and_when_they_stop_it_is_silence(talk: Talk) -> None:
    for _ in range(5):
        talk.viewer.handshake_failed(HandshakeFailure.OTHER, True, talk.now_ns)
        talk.after(RECONNECT_S / 2)
        assert not talk.viewer.needs_reconnect(talk.now_ns) and "is no poselift" in talk.state.why
    talk.after(RECONNECT_S)
    assert talk.viewer.needs_reconnect(talk.now_ns)
    talk.viewer.reconnected(talk.now_ns)
    assert "no answer from attic:5570" in talk.state.why


@pytest.mark.parametrize(("with_keys", "says"), [(False, "attic:5570 uses keys, and this machine has none"), (True, "serves without keys")])
def test_that_one_side_alone_uses_keys_is_told(talk: Talk, with_keys: bool, says: str) -> None:
    talk.viewer.handshake_failed(HandshakeFailure.ONE_SIDE_HAS_KEYS, with_keys, talk.now_ns)
    assert talk.state.refused and says in talk.state.why


def test_the_end_is_told(welcomed: Talk) -> None:
    assert welcomed.hear(End("serve", 5, "")) == End("serve", 5, "")
    welcomed.after(AWAY_S + 1)
    assert welcomed.state.why == "the pipeline on attic:5570 has ended"


def test_an_order_without_a_connection_is_answered_here(talk: Talk) -> None:
    answer = talk.viewer.order("record start", talk.now_ns)
    assert isinstance(answer, Answer) and not answer.ok and "no answer from attic:5570" in answer.text
    talk.hear(a_welcome())
    assert Control("record start") not in talk.after(0), "nobody wants it any more"
    assert talk.viewer.order("record stop", talk.now_ns) is None
    assert Control("record stop") in talk.after(0)
    assert Control("record stop") not in talk.after(0)


def piece(frame: int, offset: int, jpeg: bytes, total: int = 6) -> Picture:
    return Picture(frame, 0, 64, 48, total, offset, jpeg, ())


def test_pictures_are_put_together(welcomed: Talk) -> None:
    assert welcomed.hear(piece(1, 0, b"abc")) is None
    assert welcomed.hear(piece(1, 3, b"de")) is None
    assert welcomed.hear(piece(1, 5, b"f")) == piece(1, 0, b"abcdef")
    assert welcomed.hear(piece(2, 0, b"abcdef")) == piece(2, 0, b"abcdef")
    assert Taken(1, 4, 2) in welcomed.after(0)


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(1, 3, b"def")],
        [piece(1, 0, b"abc"), piece(2, 3, b"def")],
        [piece(1, 0, b"abc"), piece(1, 2, b"cdef")],
        [piece(1, 0, b"abcdefgh")],
        [piece(1, 0, b"abc", MAX_PICTURE_BYTES + 1), piece(1, 3, b"def", MAX_PICTURE_BYTES + 1)],
    ],
)
def test_pieces_that_do_not_fit_make_no_picture(welcomed: Talk, pieces: list[Picture]) -> None:
    assert [welcomed.hear(each) for each in pieces] == [None] * len(pieces)
    assert welcomed.hear(piece(5, 0, b"abcdef")) is not None, "the next one is whole again"
