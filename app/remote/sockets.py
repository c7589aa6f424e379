"""The TCP sockets between a board and its viewers, and how little may wait in them."""

from __future__ import annotations

import contextlib
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import zmq

from poselift.app.remote.address import Address
from poselift.app.remote.board import Visitor
from poselift.app.remote.connections import plain
from poselift.app.remote.gate import Gate, secure
from poselift.app.remote.keys import Right, Trust
from poselift.app.remote.viewer import Failure
from poselift.app.remote.wire import MAX_FROM_BOARD_BYTES, MAX_FROM_VIEWER_BYTES
from poselift.common.errors import UserError

BUFFER_BYTES = 1 << 16
"""The system's own for one connection. What waits in it cannot be taken back when there is something newer."""
QUEUE = 64
"""Messages that wait for one peer in ZeroMQ, each way."""
AT_ONCE = 256
"""Messages taken in one go: somebody who sends without end must not keep us from the rest of our work."""
HANDSHAKE_MS, HEARTBEAT_MS, DEAD_MS = 5_000, 2_000, 10_000
RECONNECT_MS, RECONNECT_MAX_MS = 100, 1_000
LINGER_MS = 200


_FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class Letter(NamedTuple):
    """A message, and who sent it."""

    visitor: Visitor
    data: bytes


class Door:
    """The board's socket: every viewer's messages come in here, and each viewer can be sent to."""

    def __init__(self, address: Address, keys: Optional[Path]) -> None:
        """`keys` is the folder of keys, None where none are used. Raises UserError where they or the address cannot be used."""
        self._gate = Gate(keys)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        _limit(self._socket, MAX_FROM_VIEWER_BYTES)
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._socket.set(zmq.LINGER, LINGER_MS)
        self._gate.guard(self._socket)
        try:
            self._socket.bind(f"tcp://{address}")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            remedy = (
                "set another serve.address in the config"
                if error.errno == zmq.EADDRINUSE
                else "serve.address has to be one of this machine"
            )
            raise UserError(f"{address}: cannot serve there ({os.strerror(error.errno or 0)}); {remedy}") from None

    @property
    def sockets(self) -> tuple[Any, ...]:
        """What to poll."""
        return (self._socket, *self._gate.sockets)

    @property
    def alone(self) -> bool:
        """Whether nobody elsewhere is admitted."""
        return self._gate.alone

    def wait(self, timeout_s: float) -> None:
        """Until something comes, or the time is over."""
        self._socket.poll(round(timeout_s * 1000))

    def letters(self) -> Iterator[Letter]:
        """What those who are admitted sent, up to a limit. What has several parts is left out: a viewer does not send that."""
        self._gate.turn()
        for _ in range(AT_ONCE):
            try:
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if parts and (visitor := self._visitor(peer.bytes, parts[-1])) and len(parts) == 1:
                yield Letter(visitor, parts[0].bytes)

    def admits(self, visitor: Visitor) -> Optional[Visitor]:
        """A visitor from before with the rights it has now; None where it has none any more."""
        right = self._gate.allowed(visitor.user)
        return None if right is None else visitor._replace(name=self._gate.name(visitor.user), may_control=right is Right.CONTROL)

    def send(self, peer: bytes, data: bytes) -> bool:
        """Send to a viewer; False where there is no room. Raises ConnectionError where it is gone."""
        try:
            self._socket.send_multipart([peer, data], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            raise ConnectionError from None
        return True

    def close(self) -> None:
        """Say what waits, within a moment, and close."""
        self._gate.close()
        self._socket.close()
        self._context.term()

    def _visitor(self, peer: bytes, frame: zmq.Frame) -> Optional[Visitor]:
        user = _property(frame, "User-Id")
        right = self._gate.admits(user, int(frame.get(zmq.SRCFD)))
        if right is None:
            return None
        return Visitor(peer, user, self._gate.name(user), plain(_property(frame, "Peer-Address")), right is Right.CONTROL)


class Line:
    """A viewer's socket."""

    def __init__(self, address: Address, keys: Optional[Trust]) -> None:
        self._address, self._keys = address, keys
        self._context = zmq.Context()
        self._socket = self._open()

    def failures(self) -> set[Failure]:
        """Why connections were not made since the last call, as far as the other side shows it."""
        found: set[Failure] = set()
        for _ in range(AT_ONCE):
            if not self._monitor.poll(0):
                break
            event, value = struct.unpack("=Hi", self._monitor.recv_multipart()[0])
            other_mechanism = event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
            found.add(Failure.KEY if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH else Failure.KEYS if other_mechanism else Failure.TALK)
        return found

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

    def reopen(self, keys: Optional[Trust]) -> None:
        """Try a new connection, with these keys."""
        self._close()
        self._keys = keys
        self._socket = self._open()

    def close(self) -> None:
        """Disconnect."""
        self._close()
        self._context.term()

    def _close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)

    def _open(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        _limit(socket, MAX_FROM_BOARD_BYTES)
        socket.set(zmq.IMMEDIATE, 1)  # nothing waits for a connection: it would be old when it comes
        socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        if self._keys:
            secure(socket, self._keys)
        self._monitor = socket.get_monitor_socket(_FAILED)
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
