"""Whatever bytes come, each side either understands them or says in one line that it does not."""

from __future__ import annotations

import contextlib
import tracemalloc

import psutil
from fuzz import noise, strange_words, whole

from poselift.app.config import ServeConfig
from poselift.app.dataflow.messages import Control, MessageError, decode, encode
from poselift.app.dataflow.session import Session
from poselift.app.remote.client_protocol import ClientProtocol
from poselift.app.remote.sessions import Peer, ServerInfo, ViewerSessions
from poselift.app.remote.wire import Camera, Hello, from_board, from_viewer

SEED = 20261122
COUNT = 100_000


def server_info() -> ServerInfo:
    return ServerInfo("atlas", "0.1.0", (), Camera(640, 480, 30.0, 500.0, True, 1.7), Session(5, "boot", "board"))


def test_a_hundred_thousand_made_up_messages_are_understood_or_refused() -> None:
    refused = understood = 0
    before = psutil.Process().memory_info().rss
    for data in noise(SEED, COUNT):
        for read in (decode, from_viewer, from_board):
            try:
                read(data)
                understood += 1
            except MessageError as error:
                refused += 1
                assert str(error).isprintable(), error
    assert refused + understood == 3 * COUNT and understood > COUNT / 50 and refused > 2 * COUNT
    assert psutil.Process().memory_info().rss - before < 32 << 20


def test_a_few_bytes_make_no_reader_take_much_memory() -> None:
    tracemalloc.start()
    for head in (b"\xdd\x7f\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\x91" * 4000):
        for read in (decode, from_viewer, from_board):
            tracemalloc.reset_peak()
            with contextlib.suppress(MessageError):
                read(head)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_board_goes_on_whatever_its_viewers_say() -> None:
    """One who says what nobody would, and one who only looks: what that one gets is not changed by the other."""
    sessions, heard, orders = ViewerSessions(ServeConfig(max_viewers=4), server_info()), [], []
    legitimate, strange = Peer(b"good", "a", "good", "10.0.0.1", False), Peer(b"bad", "b", "bad", "10.0.0.2", False)
    sessions.receive(legitimate, encode(Hello("0.1.0", "good", 1)), 0)
    pose = whole()[2]
    received: dict[bytes, int] = {b"good": 0, b"bad": 0}

    def send(peer: bytes, data: bytes) -> bool:
        received[peer] += 1
        heard.append(len(data))
        return True

    words = (*noise(SEED + 1, 10_000), *strange_words(SEED + 2, 20_000))
    for number, data in enumerate(words):
        now_ns = number * 1000
        with contextlib.suppress(MessageError):
            orders += [order] if (order := sessions.receive(strange, data, now_ns)) else []
        if number % 100 == 0:
            sessions.publish(pose)
            sessions.picture_requests(now_ns)
            sessions.flush(send, now_ns)
    assert not orders, "it may look only"
    assert received[b"good"] and b"good" in sessions.open
    assert received[b"bad"] < len(words) and max(heard) < 10_000


def test_orders_come_of_who_may_give_them_and_are_never_anything_else() -> None:
    sessions = ViewerSessions(ServeConfig(), server_info())
    peer = Peer(b"bad", "b", "bad", "10.0.0.2", True)
    sessions.receive(peer, encode(Hello("0.1.0", "bad", 1)), 0)
    orders = []
    for data in strange_words(SEED + 3, 5_000):
        with contextlib.suppress(MessageError):  # numbers beyond 64 bits
            orders.append(sessions.receive(peer, data, 0))
    assert {type(order) for order in orders} == {Control, type(None)}


def test_a_viewer_goes_on_whatever_its_board_says() -> None:
    viewer = ClientProtocol("atlas", Hello("0.1.0", "laptop", 1), 0)
    before = psutil.Process().memory_info().rss
    for number, data in enumerate(noise(SEED + 4, 30_000)):
        viewer.receive(data, number * 1000)
        viewer.outgoing(number * 1000)
        assert viewer.state(number * 1000).why.isprintable()
    assert psutil.Process().memory_info().rss - before < 32 << 20
