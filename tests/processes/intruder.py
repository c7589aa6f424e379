"""Tools of those who should not get in: raw ZMTP, connections by the thousand, and a board's socket in this process."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import zmq
from patience import PATIENCE_S

from poselift.app.remote import keys
from poselift.app.remote.address import Address
from poselift.app.remote.authenticator import new_pair, secure
from poselift.app.remote.key_strings import Role
from poselift.app.remote.keys import ClientKeys, Permission
from poselift.app.remote.sockets import Received, ServerSocket

HOST = "127.0.0.1"


def free_port() -> int:
    """A TCP port that nobody has at the moment."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def make_keys(folder: Path, name: str) -> Path:
    """A machine with a pair of its own."""
    keys.save_pair(folder, new_pair(name))
    return folder


def introduce(board: Path, viewer: Path, right: Permission = Permission.LOOK) -> None:
    """Copy one line each way."""
    keys.admit(board, Role.VIEWER, keys.own_pair(viewer).name, keys.own_pair(viewer).public, right)
    keys.admit(viewer, Role.BOARD, keys.own_pair(board).name, keys.own_pair(board).public, Permission.LOOK)


class Keeper:
    """A board's socket that sends each message back, as long as somebody waits for something."""

    def __init__(self, folder: Optional[Path]) -> None:
        self.port = free_port()
        self.socket = ServerSocket(Address(HOST, self.port), folder)
        self.received: list[Received] = []
        self._poller = zmq.Poller()
        for each in self.socket.sockets:
            self._poller.register(each, zmq.POLLIN)

    def turn(self) -> None:
        """Do what is to be done now."""
        self._poller.poll(20)
        for message in self.socket.receive():
            self.received.append(message)
            with contextlib.suppress(ConnectionError):
                self.socket.send(message.peer.routing_id, message.data)

    def until(self, what: Callable[[], Any], why: str) -> Any:
        """Run the socket until something is so; its value."""
        end_s = time.monotonic() + PATIENCE_S
        while not (value := what()):
            assert time.monotonic() < end_s, f"waited too long for {why}"
            self.turn()
        return value

    def answers(self, viewer: zmq.Socket[bytes], data: bytes) -> None:
        """The viewer says something and hears it back."""
        viewer.send(data)
        self.until(lambda: viewer.poll(0) and viewer.recv() == data, f"an answer to {data!r}")


@contextlib.contextmanager
def keeping(folder: Optional[Path]) -> Iterator[Keeper]:
    """A board's socket, until the end of the block."""
    keeper = Keeper(folder)
    try:
        yield keeper
    finally:
        keeper.socket.close()


class Wire:
    """A viewer's ZeroMQ socket, and the TCP connection under it."""

    def __init__(self, context: zmq.Context[Any], port: int, trust: Optional[ClientKeys], **options: int) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        for name, value in options.items():
            self.socket.set(getattr(zmq, name), value)
        if trust:
            secure(self.socket, trust)
        self._events = self.socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._seen: list[tuple[int, int]] = []
        self.socket.connect(f"tcp://{HOST}:{port}")

    def say(self, data: bytes) -> None:
        """Send; a socket that the board has refused has nowhere to send to, and does not wait for it."""
        with contextlib.suppress(zmq.Again):
            self.socket.send(data, zmq.NOBLOCK)

    def saw(self, event: int) -> int:
        """How often something happened to this connection."""
        while self._events.poll(0):
            self._seen.append(struct.unpack("=Hi", self._events.recv_multipart()[0]))
        return sum(number == event for number, _ in self._seen)

    def tcp(self) -> socket.socket:
        """The connection under it, to write to as no ZeroMQ would."""
        self.saw(zmq.EVENT_CONNECTED)
        descriptor = next(value for number, value in reversed(self._seen) if number == zmq.EVENT_CONNECTED)
        return socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)

    def close(self) -> None:
        """Leave."""
        self.socket.disable_monitor()
        self._events.close(linger=0)
        self.socket.close(linger=0)


@contextlib.contextmanager
def wires(port: int) -> Iterator[Callable[..., Wire]]:
    """A function that opens viewers' sockets, until the end of the block."""
    context: zmq.Context[Any] = zmq.Context()
    opened: list[Wire] = []

    def wire(trust: Optional[ClientKeys] = None, **options: int) -> Wire:
        opened.append(Wire(context, port, trust, **options))
        return opened[-1]

    try:
        yield wire
    finally:
        for each in opened:
            each.close()
        context.term()


def greeting(mechanism: bytes = b"NULL", major: int = 3) -> bytes:
    """How ZMTP begins (RFC 23)."""
    return b"\xff" + bytes(8) + b"\x7f" + bytes([major, 0]) + mechanism.ljust(20, b"\0") + bytes(32)


def ready(identity: bytes = b"") -> bytes:
    """The word of a NULL handshake."""
    body = b"\x05READY" + b"".join(
        bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
        for name, value in ((b"Socket-Type", b"DEALER"), (b"Identity", identity))
    )
    return b"\x04" + bytes([len(body)]) + body


def frame(size: int, more: bool = False) -> bytes:
    """The head of a message's part, which says how long it will be."""
    return bytes([2 | more]) + struct.pack(">Q", size)


def tcp(port: int) -> socket.socket:
    """A connection, and nothing said."""
    connection = socket.create_connection((HOST, port), timeout=PATIENCE_S)
    connection.settimeout(0.2)
    return connection


def heard(connection: socket.socket) -> Optional[bytes]:
    """What has come; None where nothing did, empty where the other side has hung up."""
    try:
        return connection.recv(1 << 16)
    except socket.timeout:
        return None
    except ConnectionError:
        return b""
