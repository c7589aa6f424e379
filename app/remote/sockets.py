"""The TCP sockets between a board and its viewers, and how little may wait in them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

import zmq

from app.errors import UserError
from app.remote.address import Address
from app.remote.wire import MAX_FROM_BOARD_BYTES, MAX_FROM_VIEWER_BYTES

Secure = Callable[[Any], None]
"""Gives a socket its keys, before it is bound or connected."""

BUFFER_BYTES = 1 << 16
"""The system's own for one connection. What waits in it cannot be taken back when there is something newer."""
QUEUE = 64
"""Messages that wait for one peer in ZeroMQ, each way."""
AT_ONCE = 256
"""Messages taken in one go: somebody who sends without end must not keep us from the rest of our work."""
HANDSHAKE_MS, HEARTBEAT_MS, DEAD_MS = 5_000, 2_000, 10_000
RECONNECT_MS, RECONNECT_MAX_MS = 100, 1_000
LINGER_MS = 200


class Letter(NamedTuple):
    """A message from a peer."""

    peer: bytes
    user: str
    """Who it is by its key; empty where there are no keys."""
    address: str
    """Its IP number."""
    data: bytes


class Door:
    """The board's socket: every viewer's messages come in here, and each viewer can be sent to."""

    def __init__(self, address: Address, secure: Optional[Secure]) -> None:
        """Raises UserError where the address cannot be had."""
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.ROUTER)
        _limit(self.socket, MAX_FROM_VIEWER_BYTES)
        self.socket.set(zmq.ROUTER_MANDATORY, 1)
        self.socket.set(zmq.LINGER, LINGER_MS)
        if secure:
            secure(self.socket)
        try:
            self.socket.bind(f"tcp://{address}")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            remedy = (
                "set another serve.address in the config"
                if error.errno == zmq.EADDRINUSE
                else "serve.address has to be one of this machine"
            )
            raise UserError(f"{address}: cannot serve there ({error.strerror}); {remedy}") from None

    def letters(self) -> Iterator[Letter]:
        """What has come, up to a limit. What has more than one part is left out: a viewer does not send that."""
        for _ in range(AT_ONCE):
            try:
                peer, *parts = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(parts) == 1:
                yield Letter(peer.bytes, _property(parts[0], "User-Id"), _property(parts[0], "Peer-Address"), parts[0].bytes)

    def send(self, peer: bytes, data: bytes) -> bool:
        """Send to a viewer; False where there is no room. Raises ConnectionError where it is gone."""
        try:
            self.socket.send_multipart([peer, data], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            raise ConnectionError from None
        return True

    def close(self) -> None:
        """Say what waits, within a moment, and close."""
        self.socket.close()
        self._context.term()


class Line:
    """A viewer's socket."""

    def __init__(self, address: Address, secure: Optional[Secure]) -> None:
        self._address, self._secure = address, secure
        self._context = zmq.Context()
        self._socket = self._open()

    def receive(self, timeout_s: float) -> list[bytes]:
        """What has come; empty after the time-out, or when there is a connection now and was none."""
        received: list[bytes] = []
        awaited = zmq.POLLIN if self.ready() else zmq.POLLIN | zmq.POLLOUT
        if self._socket.poll(max(0, math.ceil(timeout_s * 1000)), awaited):
            with contextlib.suppress(zmq.Again):
                while len(received) < AT_ONCE:
                    received.append(self._socket.recv(zmq.NOBLOCK))
        return received

    def ready(self) -> bool:
        """Whether there is a connection, with room."""
        return bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT)

    def send(self, data: bytes) -> None:
        """Send, where there is a connection with room."""
        with contextlib.suppress(zmq.Again):
            self._socket.send(data, zmq.NOBLOCK)

    def reopen(self) -> None:
        """Try a new connection."""
        self._socket.close(linger=0)
        self._socket = self._open()

    def close(self) -> None:
        """Disconnect."""
        self._socket.close(linger=0)
        self._context.term()

    def _open(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        _limit(socket, MAX_FROM_BOARD_BYTES)
        socket.set(zmq.IMMEDIATE, 1)  # nothing waits for a connection: it would be old when it comes
        socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        if self._secure:
            self._secure(socket)
        socket.connect(f"tcp://{self._address}")
        return socket


def _limit(socket: zmq.Socket[bytes], most_bytes: int) -> None:
    for option, value in (
        (zmq.IPV6, 1),
        (zmq.MAXMSGSIZE, most_bytes),
        (zmq.SNDHWM, QUEUE),
        (zmq.RCVHWM, QUEUE),
        (zmq.SNDBUF, BUFFER_BYTES),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, DEAD_MS),
    ):
        socket.set(option, value)


def _property(frame: zmq.Frame, name: str) -> str:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:  # it has none
        return ""
