"""A board as a program elsewhere sees it: `Remote`."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Optional

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D, encode
from poselift.app.remote.address import Address, parse_address
from poselift.app.remote.keys import Trust, all_trust, folder_for, folder_of, trust, trust_here
from poselift.app.remote.sockets import Line
from poselift.app.remote.viewer import Failure, Link, Viewer
from poselift.app.remote.wire import FromBoard, Hello, Picture, Want, Welcome

READY_WITHIN_S = 0.5
"""Without a connection, so often is looked whether to try another."""
NEXT_WAY_S = 0.1
"""The same where there are several keys, and not all have been tried yet."""


def remote(address: str, keys_folder: Optional[str] = None) -> Remote:
    """The connection to the board at HOST or HOST:PORT, with this user's keys or those in a folder. Raises UserError.

    At a loopback address may be anything: this machine's own pipeline, with keys or without, or a tunnel to any board. Where no folder is
    named, all keys that this user has are tried, then none.
    """
    place = parse_address(address)
    folder = folder_for(place.loopback, keys_folder)
    return Remote(place, (trust(folder, place.host),) if folder else (*all_trust(folder_of(None), place.host), None))


def remote_here(served_at: str, keys_folder: Optional[str] = None) -> Remote:
    """The connection to what this machine itself serves at HOST:PORT, where needed with its own keys. Raises UserError."""
    place = parse_address(served_at)
    folder = folder_for(place.loopback, keys_folder)
    return Remote(place.from_here(), (trust_here(folder) if folder else None,))


class Remote:
    """The connection to a board's `serve`. It finds its board again by itself, as long as `receive` is called several times a second.

    Not for several threads. What waits is limited by the board: who is slow gets fewer messages, not older ones.
    """

    def __init__(self, address: Address, ways: Sequence[Optional[Trust]] = (None,)) -> None:
        """`ways` are the keys to try, in turn until there is a connection; None is to try without."""
        hello = Hello(version("poselift"), socket.gethostname(), random.getrandbits(62))
        self._viewer = Viewer(str(address), hello, time.monotonic_ns())
        self._ways, self._way = ways, 0
        self._look_again_s = NEXT_WAY_S if len(ways) > 1 else READY_WITHIN_S
        self._line = Line(address, ways[0])
        self._answers: list[FromBoard] = []

    @property
    def welcome(self) -> Optional[Welcome]:
        """What the board said of itself, the last time it was connected."""
        return self._viewer.welcome

    @property
    def missed(self) -> dict[str, int]:
        """What was dropped for this viewer, by reason, since it was connected."""
        return self._viewer.missed

    @property
    def link(self) -> Link:
        """How the connection is."""
        return self._viewer.link(time.monotonic_ns())

    def receive(self, timeout_s: float) -> list[FromBoard]:
        """What has come: Welcome, Pose2D, Pose3D, Health, whole Pictures, Missed, Answer, End. Empty after the time-out."""
        until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        messages, self._answers = self._answers, []
        while True:
            due_ns = self._say()
            wait_ns = max(0, min(until_ns, due_ns) - time.monotonic_ns())
            for data in self._line.receive(wait_ns / 1e9):
                message = self._viewer.hear(data, time.monotonic_ns())
                messages += [message] if message else []
            if messages or time.monotonic_ns() >= until_ns:
                self._say()
                return messages

    def want(self, width_px: int, quality: int, rate_hz: float) -> None:
        """Ask for JPEG pictures so wide (never wider than the camera's), of a quality of 1 to 100, at most so many a second; 0 for none.

        The board's own limits (`welcome`) hold.
        """
        self._viewer.want(Want(width_px, quality, rate_hz))

    def order(self, command: str) -> None:
        """Give an order: 'record start', 'record stop' or 'status'. Its Answer comes by `receive`."""
        answer = self._viewer.order(command, time.monotonic_ns())
        self._answers += [answer] if answer else []

    def age_ns(self, message: FromBoard) -> Optional[int]:
        """How old what a message shows is, by the board's clock, as far as that is known (`link.offset_error_ns`).

        None where it is not known yet, and for messages that show nothing.
        """
        board_ns = self._viewer.board_ns(time.monotonic_ns())
        if board_ns is None:
            return None
        if isinstance(message, Health):
            return board_ns - message.monotonic_ns
        if isinstance(message, (Pose2D, Pose3D, Picture)) and message.trace:
            return board_ns - message.trace[0].received_ns + getattr(message, "delay_ns", 0)
        return None

    def close(self) -> None:
        """Disconnect."""
        self._line.close()

    def _failed(self, failure: Failure, now_ns: int) -> None:
        """Try the next way, if there is another; that all have failed is told. Where our key is refused, the board is the right one."""
        tried, last = self._ways[self._way], self._way == len(self._ways) - 1
        if failure is Failure.KEY or last:
            self._viewer.failed(failure, tried is not None, now_ns)
            self._look_again_s = READY_WITHIN_S
        if failure is not Failure.KEY and len(self._ways) > 1:
            self._way = 0 if last else self._way + 1
            self._line.reopen(self._ways[self._way])
            self._viewer.reopened(now_ns)

    def _say(self) -> int:
        """Say what there is to say; when there may be something again, ns of the monotonic clock."""
        now_ns = time.monotonic_ns()
        if self._viewer.stale(now_ns):
            self._line.reopen(self._ways[self._way])
            self._viewer.reopened(now_ns)
        if failures := self._line.failures():
            self._failed(min(failures), now_ns)
        if not self._line.ready():
            return now_ns + round(self._look_again_s * 1e9)
        for message in self._viewer.to_say(now_ns):
            self._line.send(encode(message))
        return self._viewer.due_ns()
