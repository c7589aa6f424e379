"""The TCP connections of a socket that serves, as the kernel knows them: who is there, what each has sent, and how to end one.

libzmq ends none on request, takes as many as there are file descriptors, and keeps all parts of a message until the last one came, whatever
its limits say: a peer that sends parts without end takes all memory. A viewer has little to say, so who sends more is cut off.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

BURST_BYTES, RATE_BYTES = 256 << 10, 64 << 10
"""What a peer may send at once, and each second; a viewer sends some 10 kB a second."""
UNPROVEN = 200
"""So many may be connected that have not sent a message that was admitted. One more, and the oldest of them goes."""
PER_USER = 8
"""So many connections may one key have; the viewer of each is another."""
DESCRIPTORS = 4096
"""So many files and connections a process that serves may have open: a burst of connections must not keep it from its own files."""
GONE, NO_INODE = "somebody who has left", -1
"""Where a connection was over before we could ask whose it is, as with most that libzmq itself turns away."""
BYTES_RECEIVED = struct.Struct("=128xQ")
"""Where tcpi_bytes_received lies in Linux's struct tcp_info, since Linux 4.1."""


@dataclass
class _Connection:
    address: str
    inode: int
    user: Optional[str] = None
    """Whose it is, once a message has told."""
    budget_bytes: float = BURST_BYTES
    received_bytes: int = 0


class Connections:
    """Follows the connections of one socket, by their file descriptors."""

    def __init__(self) -> None:
        self._open: dict[int, _Connection] = {}
        self._swept_s = 0.0

    def accepted(self, descriptor: int) -> Optional[str]:
        """There is a new one. The address of one that had to go for it, or None."""
        try:
            with _of(descriptor) as kernel:
                self._open[descriptor] = _Connection(plain(kernel.getpeername()[0]), os.fstat(descriptor).st_ino)
        except OSError:
            self._open[descriptor] = _Connection(GONE, NO_INODE)
        unproven = [number for number, connection in self._open.items() if connection.user is None]
        return self._end(unproven[0]) if len(unproven) > UNPROVEN else None

    def ended(self, descriptor: int) -> Optional[str]:
        """One is over. Its address, where nobody had ever told whose it was."""
        connection = self._open.pop(descriptor, None)
        return connection.address if connection and connection.user is None else None

    def proven(self, descriptor: int, user: str) -> None:
        """A message of this user came by this connection."""
        connection = self._open.get(descriptor)
        if connection is None or connection.user is not None:
            return
        connection.user = user
        theirs = [number for number, other in self._open.items() if other.user == user]
        if user and len(theirs) > PER_USER:
            self._end(theirs[0])

    def users(self) -> set[str]:
        """Whose connections are open."""
        return {connection.user for connection in self._open.values() if connection.user is not None}

    def cut(self, user: str) -> None:
        """End all connections of a user; what waits to be sent to it is thrown away."""
        for number in [number for number, connection in self._open.items() if connection.user == user]:
            self._end(number)

    def sweep(self, now_s: float) -> list[str]:
        """End those that have sent too much since the last time; their addresses."""
        earned = RATE_BYTES * min(now_s - self._swept_s, BURST_BYTES / RATE_BYTES)
        self._swept_s = now_s
        return [address for number in list(self._open) if self._spent(number, earned) and (address := self._end(number))]

    def _spent(self, descriptor: int, earned: float) -> bool:
        connection = self._open[descriptor]
        try:
            with _of(descriptor) as kernel:
                (received,) = BYTES_RECEIVED.unpack_from(kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))
        except (OSError, struct.error):  # it is over, and we shall hear so; or a kernel before 4.1
            return False
        sent, connection.received_bytes = received - connection.received_bytes, received
        connection.budget_bytes = min(BURST_BYTES, connection.budget_bytes + earned) - sent
        return connection.budget_bytes < 0

    def _end(self, descriptor: int) -> str:
        connection = self._open.pop(descriptor)
        with suppress(OSError), _of(descriptor) as kernel:
            if os.fstat(descriptor).st_ino == connection.inode:  # else another has its number now
                kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                kernel.shutdown(socket.SHUT_RDWR)
        return connection.address


def plain(address: str) -> str:
    """An IP number as people know it: one of version 4 comes as `::ffff:192.168.1.5` from a socket that takes both versions."""
    return address.replace("::ffff:", "")


def allow_many() -> None:
    """Let this process have a good number of files and connections open, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _of(descriptor: int) -> socket.socket:
    """A Python socket on a copy of a descriptor; raises OSError where it is none, or not any more."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
