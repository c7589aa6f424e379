"""The connection to a board, for the viewer and for programs."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Optional

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D, encode
from poselift.app.remote.address import Address, parse_address
from poselift.app.remote.client_protocol import ClientProtocol, ConnectionState, HandshakeFailure
from poselift.app.remote.keys import ClientKeys, all_client_keys, client_keys, folder_for, folder_of, local_client_keys
from poselift.app.remote.sockets import ClientSocket
from poselift.app.remote.wire import FromBoard, Hello, Picture, Want, Welcome

RETRY_S = 0.5
"""Without a connection, the time between two looks whether to try another."""
NEXT_KEYS_S = 0.1
"""The same while not all of several keys have been tried."""


def connect(address: str, keys_folder: Optional[str] = None) -> Client:
    """A client of the board at HOST or HOST:PORT, with the keys in the folder, or this user's. Raises UserError.

    At a loopback address there may be anything: this machine's own pipeline, with or without keys, or a tunnel to any board. If no folder
    is named, all keys of this user are tried there, then none.
    """
    parsed = parse_address(address)
    folder = folder_for(parsed.loopback, keys_folder)
    return Client(parsed, (client_keys(folder, parsed.host),) if folder else (*all_client_keys(folder_of(None), parsed.host), None))


def connect_here(served_at: str, keys_folder: Optional[str] = None) -> Client:
    """A client of what this machine itself serves at HOST:PORT, with its own keys if needed. Raises UserError."""
    parsed = parse_address(served_at)
    folder = folder_for(parsed.loopback, keys_folder)
    return Client(parsed.from_here(), (local_client_keys(folder) if folder else None,))


class Client:
    """The connection to a board's `serve`. It reconnects by itself as long as `receive` is called several times a second.

    Not thread-safe. The board limits what waits: a slow client gets fewer messages, not older ones.
    """

    def __init__(self, address: Address, keys: Sequence[Optional[ClientKeys]] = (None,)) -> None:
        """`keys` are tried in turn until there is a connection; None is to try without."""
        hello = Hello(version("poselift"), socket.gethostname(), random.getrandbits(62))
        self._protocol = ClientProtocol(str(address), hello, time.monotonic_ns())
        self._keys, self._tried = keys, 0
        self._retry_s = NEXT_KEYS_S if len(keys) > 1 else RETRY_S
        self._socket = ClientSocket(address, keys[0])
        self._answers: list[FromBoard] = []

    @property
    def welcome(self) -> Optional[Welcome]:
        """What the board told about itself when it was last connected."""
        return self._protocol.welcome

    @property
    def missed(self) -> dict[str, int]:
        """What was dropped for this client, by reason, since it was connected."""
        return self._protocol.missed

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._protocol.state(time.monotonic_ns())

    def receive(self, timeout_s: float) -> list[FromBoard]:
        """What has arrived: Welcome, Pose2D, Pose3D, Health, whole Pictures, Missed, Answer, End. Empty after the timeout."""
        until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        messages, self._answers = self._answers, []
        while True:
            due_ns = self._send()
            wait_ns = max(0, min(until_ns, due_ns) - time.monotonic_ns())
            for data in self._socket.receive(wait_ns / 1e9):
                message = self._protocol.receive(data, time.monotonic_ns())
                messages += [message] if message else []
            if messages or time.monotonic_ns() >= until_ns:
                self._send()
                return messages

    def request_pictures(self, width_px: int, quality: int, rate_hz: float) -> None:
        """Ask for JPEG pictures of this width (at most the camera's) and quality (1 to 100), at most so many a second; 0 for none.

        The board's own limits (`welcome`) apply.
        """
        self._protocol.request_pictures(Want(width_px, quality, rate_hz))

    def order(self, command: str) -> None:
        """Give an order: 'record start', 'record stop' or 'status'. Its Answer comes from `receive`."""
        answer = self._protocol.order(command, time.monotonic_ns())
        self._answers += [answer] if answer else []

    def age_ns(self, message: FromBoard) -> Optional[int]:
        """The age of what a message shows, as exact as the board's clock is known (`state.offset_error_ns`).

        None until it is known, and for messages that show nothing.
        """
        board_ns = self._protocol.board_ns(time.monotonic_ns())
        if board_ns is None:
            return None
        if isinstance(message, Health):
            return board_ns - message.monotonic_ns
        if isinstance(message, (Pose2D, Pose3D, Picture)) and message.trace:
            return board_ns - message.trace[0].received_ns + getattr(message, "delay_ns", 0)
        return None

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def _failed(self, failure: HandshakeFailure, now_ns: int) -> None:
        """Try the next keys. After the last, tell the user; at once if our key is not admitted: then it is the right board."""
        keys, last = self._keys[self._tried], self._tried == len(self._keys) - 1
        if failure is HandshakeFailure.NOT_ADMITTED or last:
            self._protocol.handshake_failed(failure, keys is not None, now_ns)
            self._retry_s = RETRY_S
        if failure is not HandshakeFailure.NOT_ADMITTED and len(self._keys) > 1:
            self._tried = 0 if last else self._tried + 1
            self._reconnect(now_ns, other_keys=True)

    def _reconnect(self, now_ns: int, other_keys: bool = False) -> None:
        self._socket.reopen(self._keys[self._tried])
        self._protocol.reconnected(now_ns, other_keys)

    def _send(self) -> int:
        """Send what there is to send. When there may be something again, ns of the monotonic clock."""
        now_ns = time.monotonic_ns()
        if self._protocol.needs_reconnect(now_ns):
            self._reconnect(now_ns)
        if failures := self._socket.failures():
            self._failed(min(failures), now_ns)
        if not self._socket.ready():
            return now_ns + round(self._retry_s * 1e9)
        for message in self._protocol.outgoing(now_ns):
            self._socket.send(encode(message))
        return self._protocol.due_ns()
