"""Who gets in: CurveZMQ on the socket that serves, its keys asked by ZAP (ZeroMQ RFC 27) and answered here, in the loop of the worker.

On an address that only this machine reaches there may be no keys; then everyone there may look and give orders.
"""

from __future__ import annotations

import logging
import os
import socket as sockets
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

import zmq
from zmq.utils import z85

from app.errors import UserError
from app.remote.keys import Pair, Right, Role, Trust, admitted, good_name, key_text, own, read_admitted, signature
from app.remote.refusals import Refusals
from app.remote.wire import MAX_FROM_VIEWER_BYTES

ZAP = "inproc://zeromq.zap.01"
WAITING = 100
"""Messages of one viewer that wait to be read; then libzmq reads no more from it."""
HANDSHAKE_MS = 5_000
"""Who has not shown its key by then is cut off."""
BACKLOG = 128
HEARTBEAT_MS, DEAD_MS = 2_000, 10_000
"""A viewer whose machine or network went away is noticed so, though its connection was never closed."""
AT_ONCE = 64
LOOK_AGAIN_S = 0.25
"""So often the list of the admitted is looked at."""

_UNKNOWN = "it has no key, or does not know this board's, or is no poselift"
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED

Socket = zmq.Socket[bytes]

log = logging.getLogger("gate")


class Caller(NamedTuple):
    """Who sent a message, and on which connection."""

    user: str
    """Its key as `keys.key_text`; empty where there are no keys."""
    address: str
    descriptor: int
    inode: int


class Gate:
    """Guards one socket. Poll `sockets` along with it, and call `turn` whenever anything came, and a few times a second.

    `folder` is that of the keys, None for an address without. Raises UserError where there is no pair, or the keys are not safe.
    """

    def __init__(self, context: zmq.Context[Socket], folder: Optional[Path]) -> None:
        self._folder = folder
        self._pair = None
        if folder is not None:
            check_curve()
            self._pair = own(folder)
            admitted(folder)
        self._rights: dict[str, tuple[str, Right]] = {}
        self._signature: object = ()
        self._looked_s = float("-inf")
        self._refusals = Refusals()
        self._open: dict[int, str] = {}
        self._told = False
        self._zap = context.socket(zmq.REP)
        self._zap.set(zmq.LINGER, 0)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.set(zmq.RCVHWM, 0)  # a full queue would hold up libzmq's thread, and with it every viewer
        if folder is not None:
            self._zap.bind(ZAP)

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """What to poll along with the guarded socket."""
        return self._zap, self._monitor

    def guard(self, socket: Socket) -> None:
        """Set up a socket that will serve; before it is bound."""
        if self._pair is not None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._pair.secret)
            socket.set(zmq.ZAP_DOMAIN, b"poselift")
        socket.set(zmq.MAXMSGSIZE, MAX_FROM_VIEWER_BYTES)  # libzmq ends a connection that announces more, before it takes any of it
        socket.set(zmq.RCVHWM, WAITING)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.set(zmq.BACKLOG, BACKLOG)
        socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.set(zmq.HEARTBEAT_TIMEOUT, DEAD_MS)
        socket.set(zmq.LINGER, 0)
        address = f"inproc://gate-{id(self)}"
        socket.monitor(address, _EVENTS)
        self._monitor.connect(address)

    def turn(self) -> None:
        """Answer those who knock, and log those who were refused."""
        for _ in range(AT_ONCE):
            if not self._zap.poll(0):
                break
            self._answer(self._zap.recv_multipart())
        while self._monitor.poll(0):
            event, value = struct.unpack("=Hi", self._monitor.recv_multipart()[0])
            self._note(event, value)
        self._say(self._refusals.due(time.monotonic()))

    def caller(self, frame: zmq.Frame) -> Optional[Caller]:
        """Who sent this (a frame of a message, no routing id); None where it has no right to, or not any more."""
        descriptor = int(frame.get(zmq.SRCFD))
        address = str(frame.get("Peer-Address"))
        self._open.pop(descriptor, None)
        user = str(frame.get("User-Id")) if self._folder else ""
        if self.allowed(user) is None:
            return None
        try:
            return Caller(user, address, descriptor, os.fstat(descriptor).st_ino)
        except OSError:  # it has left meanwhile
            return None

    def allowed(self, user: str) -> Optional[Right]:
        """What this user may do now; None where its key is not, or no longer, admitted."""
        if self._folder is None:
            return Right.CONTROL
        entry = self._list().get(user)
        return entry[1] if entry else None

    def name(self, user: str) -> str:
        """The name a user is admitted by; empty where it is not."""
        return self._list().get(user, ("", None))[0] if self._folder else ""

    def cut(self, caller: Caller) -> None:
        """End a connection at once; what waits to be sent on it is thrown away. libzmq itself offers no way to."""
        with suppress(OSError), sockets.socket(fileno=os.dup(caller.descriptor)) as connection:
            if os.fstat(connection.fileno()).st_ino == caller.inode:  # else another has its number now
                connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(sockets.SHUT_RDWR)

    def close(self) -> None:
        """Answer nobody any more. After the guarded socket was closed."""
        self._zap.close(linger=0)
        self._monitor.close(linger=0)

    def _answer(self, request: list[bytes]) -> None:
        version, number, _domain, address, _routing, mechanism, *credentials = request
        user = key_text(credentials[0]) if mechanism == b"CURVE" and len(credentials) == 1 else ""
        right = self.allowed(user)
        if right is None:
            self._refuse(address.decode(errors="replace"), f"its key {user[:8]}... is not admitted here")
        status = (b"400", b"not admitted", b"") if right is None else (b"200", b"", user.encode())
        self._zap.send_multipart([version, number, *status, b""])

    def _list(self) -> dict[str, tuple[str, Right]]:
        now_s = time.monotonic()
        if self._folder is None or now_s - self._looked_s < LOOK_AGAIN_S:
            return self._rights
        self._looked_s = now_s
        found = signature(self._folder)
        if found != self._signature:
            self._signature, self._rights = found, self._read(self._folder)
        return self._rights

    def _read(self, folder: Path) -> dict[str, tuple[str, Right]]:
        """The list as it is now; nobody where it cannot be trusted."""
        try:
            entries, problems = read_admitted(folder)
        except UserError as error:
            log.error("nobody is admitted: %s", error)
            return {}
        for problem in problems:
            log.error("%s", problem)
        return {key_text(entry.public): (entry.name, entry.right) for entry in entries if entry.role is Role.VIEWER}

    def _note(self, event: int, value: int) -> None:
        """An event of the guarded socket. That an answer of ours was no comes without its connection, but right before that one's end."""
        if event == zmq.EVENT_ACCEPTED:
            self._open[value] = _peer(value)
        elif event == zmq.EVENT_DISCONNECTED:
            address, told, self._told = self._open.pop(value, None), self._told, False
            if address is not None and not told:
                self._refuse(address, _UNKNOWN)
        else:
            self._told = True

    def _refuse(self, address: str, why: str) -> None:
        self._say(self._refusals.add(address, why, time.monotonic()))

    def _say(self, line: str) -> None:
        if line:
            log.warning("%s", line)


def secure(socket: Socket, trust: Trust) -> None:
    """Set up a viewer's socket; before it is connected."""
    check_curve()
    socket.set(zmq.CURVE_SERVERKEY, trust.board)
    socket.set(zmq.CURVE_PUBLICKEY, trust.own.public)
    socket.set(zmq.CURVE_SECRETKEY, trust.own.secret)


def new_pair(name: str) -> Pair:
    """A new pair of keys. Raises UserError where libzmq cannot make one."""
    check_curve()
    public, secret = map(z85.decode, zmq.curve_keypair())
    return Pair(good_name(name), public, secret)


def check_curve() -> None:
    """Raises UserError where libzmq was built without CurveZMQ."""
    if not zmq.has("curve"):
        raise UserError("the ZeroMQ installed here has no CurveZMQ, which keys need; type: pip install --force-reinstall pyzmq")


def _peer(descriptor: int) -> str:
    try:
        with sockets.socket(fileno=os.dup(descriptor)) as connection:
            return str(connection.getpeername()[0])
    except OSError:
        return "somebody who has left"
