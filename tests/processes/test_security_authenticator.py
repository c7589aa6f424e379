"""A board's socket: who has no admitted key gets nothing and says nothing, who has one cannot take more than a viewer needs."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq
from intruder import Keeper, frame, greeting, heard, introduce, keeping, ready, tcp, wires
from patience import PATIENCE_S

from poselift.app.remote import authenticator, keys, sockets
from poselift.app.remote.connections import (
    BURST_BYTES,
    DESCRIPTORS,
    MAX_PER_USER,
    MAX_UNAUTHENTICATED,
    MAX_WITHOUT_KEYS,
    Connections,
    raise_descriptor_limit,
)
from poselift.app.remote.key_files import ADMITTED, OWN
from poselift.app.remote.key_strings import Role, key_string, key_text, parse_key_string
from poselift.app.remote.keys import ClientKeys, Permission
from poselift.common.errors import UserError

ROOM_BYTES = 64 << 20
"""What an attack may cost: buffers, and what the allocator keeps."""
WHO = ("127.0.0.1", "somebody who has left")
"""Whom libzmq turns away at once may be gone before it can be asked for its address."""


@pytest.fixture
def trust(laptop: Path) -> ClientKeys:
    return keys.client_keys(laptop, "127.0.0.1")


@pytest.fixture
def keeper(board: Path, laptop: Path) -> Iterator[Keeper]:
    with keeping(board) as kept:
        yield kept


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]


def memory() -> int:
    return psutil.Process().memory_info().rss


def test_a_message_comes_with_who_sent_it_and_from_where(keeper: Keeper, laptop: Path, trust: ClientKeys) -> None:
    with wires(keeper.port) as wire:
        keeper.answers(wire(trust).socket, b"hello")
    peer = keeper.received[0].peer
    assert peer.user == key_text(keys.own_pair(laptop).public)
    assert (peer.name, peer.address, peer.may_control) == ("laptop", "127.0.0.1", False)


def test_a_key_that_is_not_admitted_a_wrong_board_and_no_key_get_nothing(
    keeper: Keeper, trust: ClientKeys, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = ClientKeys(authenticator.new_pair("stranger"), trust.board)
    elsewhere = ClientKeys(trust.own, authenticator.new_pair("other").public)
    with wires(keeper.port) as wire:
        legitimate = wire(trust)
        keeper.answers(legitimate.socket, b"before")
        intruders = [wire(stranger), wire(elsewhere), wire(None)]
        plain = wire(None, PLAIN_SERVER=0)
        plain.socket.plain_username, plain.socket.plain_password = b"admin", b"admin"
        for intruder in (*intruders, plain):
            intruder.say(b"let me in")
            keeper.until(lambda: intruder.saw(zmq.EVENT_DISCONNECTED), "the intruder to be cut off")  # noqa: B023
            keeper.answers(legitimate.socket, b"during")
            assert not intruder.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED) and not intruder.socket.poll(0)
        keeper.until(lambda: len(refusals(caplog)), "a line in the log")
    assert {message.peer.name for message in keeper.received} == {"laptop"}
    assert all(message.data in (b"before", b"during") for message in keeper.received)
    assert f"refused 127.0.0.1: its key {key_text(stranger.own.public)[:8]}... is not admitted here" in refusals(caplog)
    assert len(refusals(caplog)) <= 3


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: board\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS
        greeting() + ready() + b"\0\x05hello",
        greeting(major=2) + b"\0\0" + b"\0\x05hello",  # ZMTP 2: no keys at all
        b"\x01\0" + b"\x06\0hello",  # ZMTP 1
        greeting(b"PLAIN") + b"\x04\x11\x05HELLO\x05admin\x05admin",
        greeting(b"CURVE") + b"\x04\xc8\x05HELLO" + bytes(194),
        greeting(b"CURVE") + frame(1 << 30),
        bytes(5000),
    ],
    ids=["http", "tls", "null", "zmtp2", "zmtp1", "plain", "half curve", "1 GiB handshake", "zeros"],
)
def test_who_speaks_otherwise_hears_a_greeting_at_most(
    keeper: Keeper, trust: ClientKeys, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with wires(keeper.port) as wire, tcp(keeper.port) as intruder:
        intruder.sendall(said)
        answer = b""

        def hung_up() -> bool:
            nonlocal answer
            got = heard(intruder)
            answer += got or b""
            return got == b""

        keeper.until(hung_up, "the board to hang up")
        keeper.until(lambda: refusals(caplog), "a line in the log")
        assert len(answer) <= 64 + 4 and b"hello" not in answer
        keeper.answers(wire(trust).socket, b"still here")
    assert {message.data for message in keeper.received} == {b"still here"}
    assert refusals(caplog)[0] in [f"refused {who}: it has no key, or does not know this board's, or is no poselift" for who in WHO]


def test_connections_that_come_and_go_without_end_do_not_keep_the_socket_from_its_work(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless:
        noted = 0

        def poll(self, timeout: int) -> int:
            return zmq.POLLIN

        def recv_multipart(self) -> list[bytes]:
            self.noted += 1
            assert self.noted < 10_000, "the socket hears of nothing else any more"
            return [struct.pack("=Hi", zmq.EVENT_DISCONNECTED, 4000 + self.noted), b""]

    endless = Endless()
    monkeypatch.setattr(keeper.socket._authenticator, "_monitor", endless)
    for turn in (1, 2):
        keeper.socket._authenticator.poll()
        assert endless.noted == turn * authenticator.EVENTS_AT_ONCE
    monkeypatch.undo()


def test_a_thousand_refusals_are_one_line(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        several = [tcp(keeper.port) for _ in range(20)]
        for each in several:
            each.sendall(b"GET / HTTP/1.1\r\n\r\n")
            each.close()
        keeper.turn()
    keeper.until(lambda: refusals(caplog), "a line in the log")
    assert len(refusals(caplog)) <= 2  # one of them may have left before it could be asked who it is


def test_a_revoked_key_is_cut_off_while_connected_and_comes_in_again_when_admitted(
    keeper: Keeper, board: Path, laptop: Path, trust: ClientKeys, caplog: pytest.LogCaptureFixture
) -> None:
    with wires(keeper.port) as wire:
        viewer, other = wire(trust), wire(ClientKeys(authenticator.new_pair("desk"), trust.board))
        keys.admit(board, Role.VIEWER, "desk", parse_key_string(key_string(Role.VIEWER, "d", b"d" * 32))[2], Permission.LOOK)
        keeper.answers(viewer.socket, b"one")
        peer = keeper.received[-1].peer
        keys.revoke(board, "laptop")
        keeper.until(lambda: viewer.saw(zmq.EVENT_DISCONNECTED), "the connection to be cut")
        assert keeper.socket.refreshed(peer) is None
        viewer.say(b"two")
        keeper.until(lambda: any("its key" in line for line in refusals(caplog)), "a line in the log")
        introduce(board, laptop, Permission.CONTROL)
        again = wire(trust)
        keeper.answers(again.socket, b"three")
        assert keeper.received[-1].peer.may_control
        assert not other.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    assert b"two" not in [message.data for message in keeper.received]


def test_a_right_that_changes_holds_for_who_is_connected(keeper: Keeper, board: Path, laptop: Path, trust: ClientKeys) -> None:
    with wires(keeper.port) as wire:
        viewer = wire(trust)
        keeper.answers(viewer.socket, b"look")
        assert not keeper.received[-1].peer.may_control
        introduce(board, laptop, Permission.CONTROL)
        keeper.until(lambda: keeper.socket.refreshed(keeper.received[-1].peer).may_control, "the new right")
        keeper.answers(viewer.socket, b"control")
        assert keeper.received[-1].peer.may_control
        assert viewer.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED) == 1


def test_a_list_that_others_could_change_admits_nobody(
    keeper: Keeper, board: Path, trust: ClientKeys, caplog: pytest.LogCaptureFixture
) -> None:
    with wires(keeper.port) as wire:
        viewer = wire(trust)
        keeper.answers(viewer.socket, b"one")
        (board / ADMITTED).chmod(0o666)
        keeper.until(lambda: viewer.saw(zmq.EVENT_DISCONNECTED), "the connection to be cut")
        assert any("nobody is admitted" in record.getMessage() and "chmod 600" in record.getMessage() for record in caplog.records)
        (board / ADMITTED).chmod(0o600)
        keeper.answers(wire(trust).socket, b"two")


def cut_off_by(keeper: Keeper, trust: ClientKeys, attack: Callable[..., int], wire: Callable[..., object]) -> int:
    """What an attack by somebody who is admitted could send until it was cut off; and the others go on."""
    legitimate, intruder = wire(trust), wire(trust)
    keeper.answers(legitimate.socket, b"before")
    keeper.answers(intruder.socket, b"I am admitted")
    before = memory()
    sent = 0
    while not intruder.saw(zmq.EVENT_DISCONNECTED):
        sent += attack(intruder)
        keeper.turn()
        assert memory() - before < ROOM_BYTES and sent < 1 << 30
    keeper.answers(legitimate.socket, b"after")
    assert memory() - before < ROOM_BYTES
    return sent


def written(wire: object, data: bytes) -> int:
    with wire.tcp() as connection:
        connection.setblocking(False)
        try:
            return connection.send(data)
        except (BlockingIOError, ConnectionError):
            return 0


def test_a_message_of_a_gigabyte_is_not_taken(keeper: Keeper, trust: ClientKeys) -> None:
    chunks = iter([frame(1 << 30)])
    with wires(keeper.port) as wire:
        sent = cut_off_by(keeper, trust, lambda intruder: written(intruder, next(chunks, bytes(1 << 20))), wire)
    assert sent < 32 << 20


def test_parts_without_end_are_not_kept() -> None:
    """libzmq keeps them all until the last one came; a ZeroMQ of its own would not even send them before."""
    parts = 256 * (frame(4000, more=True) + bytes(4000))
    with keeping(None) as keeper, wires(keeper.port) as wire, tcp(keeper.port) as intruder:
        legitimate = wire(None)
        keeper.answers(legitimate.socket, b"before")
        intruder.sendall(greeting() + ready())
        keeper.until(lambda: b"READY" in (heard(intruder) or b""), "the handshake")
        intruder.sendall(b"\0\x05hello")
        keeper.until(lambda: len(keeper.received) == 2, "the intruder to be heard")
        intruder.setblocking(False)
        before, sent = memory(), 0
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30:
                keeper.turn()
                with contextlib.suppress(BlockingIOError):
                    while sent < 1 << 30:
                        sent += intruder.send(parts[sent % len(parts) :])
                assert memory() - before < ROOM_BYTES
        assert sent < 1 << 30
        keeper.answers(legitimate.socket, b"after")
        assert memory() - before < ROOM_BYTES


def test_who_talks_without_end_is_cut_off(keeper: Keeper, trust: ClientKeys) -> None:
    def attack(intruder: object) -> int:
        sent = 0
        with contextlib.suppress(zmq.Again):
            for _ in range(1000):
                intruder.socket.send(bytes(1000), zmq.NOBLOCK)
                sent += 1000
        with contextlib.suppress(zmq.Again):
            while True:  # else it would not notice that it was cut off
                intruder.socket.recv(zmq.NOBLOCK)
        return sent

    with wires(keeper.port) as wire:
        cut_off_by(keeper, trust, attack, wire)


BUSY_BOARD = """
import sys
from intruder import Keeper

keeper = Keeper(None)
print(keeper.port, flush=True)
keeper.until(lambda: keeper.received, "somebody")
print("busy", flush=True)
sys.stdin.readline()
for _ in range(50):  # what was read before the reset, of which there may be less than was sent
    keeper.turn()
keeper.socket.close()
"""


def test_who_fills_a_busy_boards_queue_and_resets_the_connection_does_not_end_the_board() -> None:
    """libzmq aborts, in a process that has a full queue, where it reads a heartbeat of a connection that has ended."""
    heartbeat = b"\x04\x07\x04PING\0\0"
    command = [sys.executable, "-c", BUSY_BOARD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent, text=True) as board:
        try:
            port = int(board.stdout.readline())
            with tcp(port) as intruder:
                intruder.sendall(greeting() + ready())
                while b"READY" not in (heard(intruder) or b""):
                    assert board.poll() is None
                intruder.sendall(b"\0\x05hello")
                assert board.stdout.readline() == "busy\n"
                intruder.sendall(1000 * b"\0\x05hello" + heartbeat)
                intruder.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with tcp(port) as another:  # whom libzmq greets when it has seen the end of the first
                while not heard(another):
                    assert board.poll() is None
            board.communicate("go on\n", timeout=PATIENCE_S)
        finally:
            board.kill()
    assert board.returncode == 0


def test_who_is_behind_with_reading_lets_nobody_send_more_than_once() -> None:
    connections = Connections()
    with socket.create_server(("127.0.0.1", 0)) as server, tcp(server.getsockname()[1]) as sender, server.accept()[0] as accepted:
        connections.accepted(accepted.fileno())
        connections.disconnect_flooders(100.0, behind=False)
        for now_s, behind, ended in ((200.0, True, []), (300.0, False, []), (400.0, False, []), (500.0, True, ["127.0.0.1"])):
            sender.sendall(bytes(BURST_BYTES * 2 // 3))
            assert connections.disconnect_flooders(now_s, behind) == ended
            accepted.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while accepted.recv(1 << 20):
                    pass


def test_newcomers_wait_until_what_came_is_read(keeper: Keeper, trust: ClientKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    with wires(keeper.port) as wire:
        viewer = wire(trust)
        keeper.answers(viewer.socket, b"one")
        viewer.say(b"two")
        viewer.say(b"three")
        newcomer = wire(trust)
        waits = keeper.socket._authenticator._zap
        assert waits.poll(1000 * PATIENCE_S)
        monkeypatch.setattr(sockets, "AT_ONCE", 1)
        assert [len(list(keeper.socket.receive())) for _ in range(2)] == [1, 1] and waits.poll(0)
        keeper.answers(newcomer.socket, b"here")


@pytest.mark.parametrize("said", [b"", greeting(b"CURVE")], ids=["nothing", "a greeting"])
def test_a_thousand_connections_that_are_opened_and_left_keep_nobody_out(keeper: Keeper, trust: ClientKeys, said: bytes) -> None:
    process = psutil.Process()
    with wires(keeper.port) as wire:
        legitimate = wire(trust)
        keeper.answers(legitimate.socket, b"before")
        descriptors, before = process.num_fds(), memory()
        left = []
        for number in range(1000):
            left.append(tcp(keeper.port))
            left[-1].sendall(said)
            if number % 20 == 0:
                keeper.answers(legitimate.socket, b"during %d" % number)
        newcomer = wire(trust)
        keeper.answers(newcomer.socket, b"new")
        ours = len(left)
        assert process.num_fds() - descriptors - ours <= MAX_UNAUTHENTICATED + 20  # those of the board, which is in this process
        assert memory() - before < ROOM_BYTES
        for each in left:
            each.close()
        keeper.until(lambda: process.num_fds() - descriptors < 20, "the board to close them")
        keeper.answers(legitimate.socket, b"after")


def test_one_key_has_few_connections(keeper: Keeper, trust: ClientKeys) -> None:
    with wires(keeper.port) as wire:
        many = [wire(trust, RECONNECT_IVL=-1) for _ in range(MAX_PER_USER + 3)]
        for each in many:
            keeper.answers(each.socket, b"hello")
        keeper.until(lambda: sum(each.saw(zmq.EVENT_DISCONNECTED) for each in many) == 3, "the oldest to go")
        assert [bool(each.saw(zmq.EVENT_DISCONNECTED)) for each in many] == [True] * 3 + [False] * MAX_PER_USER


def test_without_keys_a_door_is_for_this_machine_and_everyone_there(trust: ClientKeys) -> None:
    with keeping(None) as keeper, wires(keeper.port) as wire:
        first = wire(None, RECONNECT_IVL=-1)
        keeper.answers(first.socket, b"hello")
        assert keeper.received[0].peer[1:] == ("", "", "127.0.0.1", True)
        for _ in range(MAX_WITHOUT_KEYS):
            keeper.answers(wire(None).socket, b"hello")
        keeper.until(lambda: first.saw(zmq.EVENT_DISCONNECTED), "the oldest to go")


def test_a_door_does_not_open_without_a_pair_or_with_keys_that_others_can_read(tmp_path: Path, board: Path) -> None:
    with pytest.raises(UserError, match="type: poselift keys new"), keeping(tmp_path / "nothing"):
        pass
    (board / OWN).chmod(0o644)
    with pytest.raises(UserError, match="type: chmod 600"), keeping(board):
        pass


def test_a_zeromq_without_keys_is_told_in_a_line(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda what: what != "curve")
    for attempt in (lambda: authenticator.new_pair("a"), lambda: authenticator.Authenticator(board)):
        with pytest.raises(UserError, match=r"no CurveZMQ.*type: pip install"):
            attempt()


def test_nobody_is_let_in_while_nobody_can_be_asked(board: Path, laptop: Path, trust: ClientKeys) -> None:
    """libzmq's own default lets everybody in who knows the board's key, when there is no handler of ZAP."""
    with keeping(board) as keeper, wires(keeper.port) as wire:
        keeper.socket._authenticator._zap.unbind(authenticator.ZAP)
        stranger = wire(ClientKeys(authenticator.new_pair("stranger"), trust.board))
        keeper.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED), "the stranger to be cut off")
        assert not stranger.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED)


def test_a_door_closes_whoever_is_there(board: Path, trust: ClientKeys) -> None:
    with keeping(board) as keeper, wires(keeper.port) as wire:
        keeper.answers(wire(trust).socket, b"hello")
        left = [tcp(keeper.port) for _ in range(50)]
        keeper.turn()
        for each in left:
            each.close()


def test_there_is_room_for_many_connections_as_far_as_the_machine_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(DESCRIPTORS, before[1]), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
