"""Limits of the TCP connections to the board's socket, by the kernel's own account of them: how many, how much each sends, how to end one.

libzmq offers none of this. It accepts as many connections as there are file descriptors, and keeps all parts of a message until the last
has arrived, whatever its limits say, so that a peer that sends parts without end takes all memory. A viewer sends little; a peer that sends
more is disconnected.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

BURST_BYTES, RATE_BYTES = 64 << 10, 64 << 10
"""What a peer may send at once, and per second as long as all that came is read; a viewer sends some 10 kB a second."""
MAX_UNAUTHENTICATED = 200
"""So many connections may be open on which no admitted message has arrived; one more, and the oldest is ended."""
MAX_PER_USER, MAX_WITHOUT_KEYS = 8, 64
"""So many connections may one key have, or all who come without; each is another viewer."""
DESCRIPTORS = 4096
"""The limit of open files and connections: a burst of connections must not leave none for the process's own files."""
GONE, NO_INODE = "somebody who has left", -1
"""The address and inode of a connection that ended before we could ask, as most do that libzmq itself turns away."""
BYTES_RECEIVED = struct.Struct("=128xQ")
"""tcpi_bytes_received in Linux's struct tcp_info, since Linux 4.1."""


@dataclass
class _Connection:
    address: str
    inode: int
    user: Optional[str] = None
    """Its key, once an admitted message has arrived on it; empty without keys."""
    budget_bytes: float = BURST_BYTES
    received_bytes: int = 0


class Connections:
    """The connections of one socket, by file descriptor."""

    def __init__(self) -> None:
        self._open: dict[int, _Connection] = {}
        self._checked_s = 0.0

    def accepted(self, descriptor: int) -> Optional[str]:
        """A connection was accepted. Returns the address of one that was ended for it, or None."""
        try:
            with _of(descriptor) as kernel:
                self._open[descriptor] = _Connection(plain_address(kernel.getpeername()[0]), os.fstat(descriptor).st_ino)
        except OSError:
            self._open[descriptor] = _Connection(GONE, NO_INODE)
        unauthenticated = [number for number, connection in self._open.items() if connection.user is None]
        return self._end(unauthenticated[0]) if len(unauthenticated) > MAX_UNAUTHENTICATED else None

    def closed(self, descriptor: int) -> Optional[str]:
        """A connection has ended. Returns its address if it had never authenticated."""
        connection = self._open.pop(descriptor, None)
        return connection.address if connection and connection.user is None else None

    def authenticated(self, descriptor: int, user: str) -> None:
        """A message of this user has arrived on this connection."""
        connection = self._open.get(descriptor)
        if connection is None or connection.user is not None:
            return
        connection.user = user
        theirs = [number for number, other in self._open.items() if other.user == user]
        if len(theirs) > (MAX_PER_USER if user else MAX_WITHOUT_KEYS):
            self._end(theirs[0])

    def users(self) -> set[str]:
        """The users who have open connections."""
        return {connection.user for connection in self._open.values() if connection.user is not None}

    def disconnect(self, user: str) -> None:
        """End all connections of a user; what waits to be sent on them is dropped."""
        for number in [number for number, connection in self._open.items() if connection.user == user]:
            self._end(number)

    def disconnect_flooders(self, now_s: float, behind: bool) -> list[str]:
        """End the connections that have sent too much; returns their addresses.

        While we are behind with reading nobody may send more, so that what waits is at most BURST_BYTES of each, and one check's.
        """
        earned = 0.0 if behind else RATE_BYTES * min(now_s - self._checked_s, BURST_BYTES / RATE_BYTES)
        self._checked_s = now_s
        return [address for number in list(self._open) if self._exceeds_budget(number, earned) and (address := self._end(number))]

    def _exceeds_budget(self, descriptor: int, earned: float) -> bool:
        connection = self._open[descriptor]
        try:
            with _of(descriptor) as kernel:
                (received,) = BYTES_RECEIVED.unpack_from(kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))
        except (OSError, struct.error):  # it has ended, of which an event will tell; or the kernel is older than 4.1
            return False
        sent, connection.received_bytes = received - connection.received_bytes, received
        connection.budget_bytes = min(BURST_BYTES, connection.budget_bytes + earned) - sent
        return connection.budget_bytes < 0

    def _end(self, descriptor: int) -> str:
        connection = self._open.pop(descriptor)
        with suppress(OSError), _of(descriptor) as kernel:
            if os.fstat(descriptor).st_ino == connection.inode:  # else the descriptor is another connection's now
                kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                kernel.shutdown(socket.SHUT_RDWR)
        return connection.address


def plain_address(address: str) -> str:
    """An IP address as people write it: a socket for both versions shows 192.168.1.5 as `::ffff:192.168.1.5`."""
    return address.replace("::ffff:", "")


def raise_descriptor_limit() -> None:
    """Allow this process DESCRIPTORS open files and connections, or as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _of(descriptor: int) -> socket.socket:
    """A Python socket on a copy of a descriptor. Raises OSError if it is not, or no longer, a socket."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
