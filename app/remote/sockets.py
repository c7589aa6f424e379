"""The TCP sockets of board and viewer. As little as possible waits in them: what waits cannot be replaced by something newer."""

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
from poselift.app.remote.authenticator import Authenticator, secure
from poselift.app.remote.client_protocol import HandshakeFailure
from poselift.app.remote.connections import plain_address
from poselift.app.remote.keys import ClientKeys, Permission
from poselift.app.remote.sessions import Peer
from poselift.app.remote.wire import MAX_FROM_BOARD_BYTES, MAX_FROM_VIEWER_BYTES
from poselift.common.errors import UserError

BUFFER_BYTES = 1 << 16
"""The kernel's buffers of one connection: a viewer's for sending, the board's for both ways."""
QUEUE = 64
"""Messages that wait in ZeroMQ to be sent to one peer."""
UNLIMITED = 0
"""Messages that wait in ZeroMQ to be read. With a limit, a peer ends the process: it fills the queue and resets its connection, and
libzmq 4.3.5 fails an assertion (stream_engine_base.cpp:310, "!_io_error") when it sends its next heartbeat there, or reads one from what
came before. The board limits what its peers send (`connections.py`); a viewer's board waits for acknowledgements."""
AT_ONCE = 256
"""Messages read in one go: a peer that sends without end must not block everything else."""
HANDSHAKE_MS, HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 5_000, 2_000, 10_000
RECONNECT_MS, RECONNECT_MAX_MS = 100, 1_000
LINGER_MS = 200
"""When the board closes its socket, it sends what waits for at most so long."""

_FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class Received(NamedTuple):
    """A message and its sender."""

    peer: Peer
    data: bytes


class ServerSocket:
    """The board's socket, for all viewers."""

    def __init__(self, address: Address, keys: Optional[Path]) -> None:
        """`keys` is the folder of keys, None to serve without. Raises UserError if the keys or the address cannot be used."""
        self._authenticator = Authenticator(keys)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        _set_limits(self._socket, MAX_FROM_VIEWER_BYTES)
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._socket.set(zmq.RCVBUF, BUFFER_BYTES)
        self._socket.set(zmq.LINGER, LINGER_MS)
        self._authenticator.protect(self._socket)
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
        """The sockets to poll."""
        return (self._socket, *self._authenticator.sockets)

    @property
    def nobody_admitted(self) -> bool:
        """Whether there are keys, but no viewer's key is admitted."""
        return self._authenticator.nobody_admitted

    def wait(self, timeout_s: float) -> None:
        """Wait for a message, at most so long."""
        self._socket.poll(round(timeout_s * 1000))

    def receive(self) -> Iterator[Received]:
        """The messages of admitted peers, up to a limit. Those of several parts are ignored: viewers send none."""
        waiting = list(self._waiting())
        self._authenticator.poll(behind=len(waiting) == AT_ONCE)
        for routing_id, *parts in waiting:
            if parts and (peer := self._peer(routing_id.bytes, parts[-1])) and len(parts) == 1:
                yield Received(peer, parts[0].bytes)

    def refreshed(self, peer: Peer) -> Optional[Peer]:
        """A peer with the name and the permission that its key has now; None if it is no longer admitted."""
        permission = self._authenticator.permission(peer.user)
        if permission is None:
            return None
        return peer._replace(name=self._authenticator.name(peer.user), may_control=permission is Permission.CONTROL)

    def send(self, routing_id: bytes, data: bytes) -> bool:
        """Send to a viewer; False if there is no room. Raises ConnectionError if it is gone."""
        try:
            self._socket.send_multipart([routing_id, data], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            raise ConnectionError from None
        return True

    def close(self) -> None:
        """Send what waits, for at most LINGER_MS, and close."""
        self._authenticator.close()
        self._socket.close()
        self._context.term()

    def _waiting(self) -> Iterator[list[zmq.Frame]]:
        with contextlib.suppress(zmq.Again):
            for _ in range(AT_ONCE):
                yield self._socket.recv_multipart(zmq.NOBLOCK, copy=False)

    def _peer(self, routing_id: bytes, frame: zmq.Frame) -> Optional[Peer]:
        user = _property(frame, "User-Id")
        permission = self._authenticator.permission_of_sender(user, int(frame.get(zmq.SRCFD)))
        if permission is None:
            return None
        address = plain_address(_property(frame, "Peer-Address"))
        return Peer(routing_id, user, self._authenticator.name(user), address, permission is Permission.CONTROL)


class ClientSocket:
    """A viewer's socket."""

    def __init__(self, address: Address, keys: Optional[ClientKeys]) -> None:
        self._address, self._keys = address, keys
        self._context = zmq.Context()
        self._socket = self._open()

    def failures(self) -> set[HandshakeFailure]:
        """Why handshakes have failed since the last call."""
        found: set[HandshakeFailure] = set()
        for _ in range(AT_ONCE):
            if not self._monitor.poll(0):
                break
            event, value = struct.unpack("=Hi", self._monitor.recv_multipart()[0])
            keys_differ = event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                found.add(HandshakeFailure.NOT_ADMITTED)
            else:
                found.add(HandshakeFailure.ONE_SIDE_HAS_KEYS if keys_differ else HandshakeFailure.OTHER)
        return found

    def receive(self, timeout_s: float) -> list[bytes]:
        """What has arrived. Empty after the timeout, or when a connection was made."""
        received: list[bytes] = []
        awaited = zmq.POLLIN if self.ready() else zmq.POLLIN | zmq.POLLOUT
        if self._socket.poll(max(0, math.ceil(timeout_s * 1000)), awaited):
            with contextlib.suppress(zmq.Again):
                while len(received) < AT_ONCE:
                    received.append(self._socket.recv(zmq.NOBLOCK))
        return received

    def ready(self) -> bool:
        """Whether there is a connection that has room."""
        return bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT)

    def send(self, data: bytes) -> None:
        """Send; without a connection that has room the message is dropped."""
        with contextlib.suppress(zmq.Again):
            self._socket.send(data, zmq.NOBLOCK)

    def reopen(self, keys: Optional[ClientKeys]) -> None:
        """Try a new connection with these keys."""
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
        _set_limits(socket, MAX_FROM_BOARD_BYTES)
        socket.set(zmq.IMMEDIATE, 1)  # nothing waits for a connection, as it would arrive old
        socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        if self._keys:
            secure(socket, self._keys)
        self._monitor = socket.get_monitor_socket(_FAILED)
        socket.connect(f"tcp://{self._address}")
        return socket


def _set_limits(socket: zmq.Socket[bytes], max_bytes: int) -> None:
    for option, value in (
        (zmq.IPV6, 1),
        (zmq.MAXMSGSIZE, max_bytes),
        (zmq.SNDHWM, QUEUE),
        (zmq.RCVHWM, UNLIMITED),
        (zmq.SNDBUF, BUFFER_BYTES),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS),
    ):
        socket.set(option, value)


def _property(frame: zmq.Frame, name: str) -> str:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:  # it has no such property
        return ""
