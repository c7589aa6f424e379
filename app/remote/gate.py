"""Who gets in: CurveZMQ on the socket that serves, its keys asked by ZAP (ZeroMQ RFC 27) and answered here, in the loop of the worker.

Whoever has this machine's own key is this machine, and may do everything. On an address that only this machine reaches there
may be no keys; then everyone there may look and give orders.
"""

from __future__ import annotations

import logging
import struct
import time
from pathlib import Path
from typing import Optional

import zmq
from zmq.utils import z85

from poselift.app.remote.connections import Connections, allow_many, plain
from poselift.app.remote.key_words import Role, good_name, key_text
from poselift.app.remote.keys import Pair, Right, Trust, admitted, own, read_admitted, signature
from poselift.app.remote.refusals import Refusals
from poselift.common.errors import UserError

ZAP = "inproc://zeromq.zap.01"
BACKLOG = 128
AT_ONCE = 64
"""Handshakes answered in one go."""
EVENTS_AT_ONCE = 256
"""Connections that came or went noted in one go."""
LOOK_AGAIN_S = 0.1
"""So often the list of the admitted, and what each connection has sent, are looked at."""

_UNKNOWN = "it has no key, or does not know this board's, or is no poselift"
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED

Socket = zmq.Socket[bytes]

log = logging.getLogger("gate")


class Gate:
    """Guards one socket: `guard` it before it is bound, `turn` several times a second, tell of each message by `admits`.

    `folder` is that of the keys, None for an address without. Raises UserError where there is no pair, or the keys are not safe.
    """

    def __init__(self, folder: Optional[Path]) -> None:
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
        self._connections = Connections()
        self._told = False

    @property
    def alone(self) -> bool:
        """Whether there are keys, and no viewer's is admitted."""
        self._read()
        return self._folder is not None and len(self._rights) <= 1

    def guard(self, socket: Socket) -> None:
        """Set up the socket that will serve; before it is bound."""
        allow_many()
        self._guarded = socket
        self._zap, self._monitor = socket.context.socket(zmq.REP), socket.context.socket(zmq.PAIR)
        if self._pair is not None:
            self._zap.bind(ZAP)
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._pair.secret)
            socket.set(zmq.ZAP_DOMAIN, b"poselift")
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # else everybody is let in while there is nobody to ask
        socket.set(zmq.BACKLOG, BACKLOG)
        self._monitor.set(zmq.RCVHWM, 0)  # a full queue would hold up libzmq's thread, and with it every viewer
        socket.monitor("inproc://gate", _EVENTS)
        self._monitor.connect("inproc://gate")

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """What may be polled along with the guarded socket, so that who knocks need not wait for the next turn."""
        return self._zap, self._monitor

    def turn(self) -> None:
        """Answer those who knock, end connections that are not admitted any more or send too much, and log who was refused."""
        for _ in range(AT_ONCE):
            if not self._zap.poll(0):
                break
            self._answer(self._zap.recv_multipart())
        for _ in range(EVENTS_AT_ONCE):  # what is left wakes us at once for the next turn, and viewers are heard between
            if not self._monitor.poll(0):
                break
            self._note(*struct.unpack("=Hi", self._monitor.recv_multipart()[0]))
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_AGAIN_S:
            self._looked_s = now_s
            self._look(now_s)

    def admits(self, user: str, descriptor: int) -> Optional[Right]:
        """What the sender of a message may do: None where it is not, or no longer, admitted.

        A message's frames know both: `frame.get("User-Id")` ('' without keys), `frame.get(zmq.SRCFD)`.
        """
        self._connections.proven(descriptor, user)
        return self.allowed(user)

    def allowed(self, user: str) -> Optional[Right]:
        """What this user may do now; None where its key is not, or no longer, admitted. Ask before anything is sent to it."""
        return Right.CONTROL if self._folder is None else self._rights.get(user, ("", None))[1]

    def name(self, user: str) -> str:
        """The name a user is admitted by; empty where it is not."""
        return self._rights.get(user, ("", None))[0]

    def cut(self, user: str) -> None:
        """End all connections of a user at once; what waits to be sent on them is thrown away."""
        self._connections.cut(user)

    def close(self) -> None:
        """Let nobody in any more. Before the guarded socket is closed."""
        self._guarded.disable_monitor()
        self._zap.close(linger=0)
        self._monitor.close(linger=0)

    def _answer(self, request: list[bytes]) -> None:
        version, number, _domain, address, _routing, mechanism, *credentials = request
        user = key_text(credentials[0]) if mechanism == b"CURVE" and len(credentials) == 1 else ""
        self._read()
        if user in self._rights:
            status = (b"200", b"", user.encode())
        else:
            status = (b"400", b"not admitted", b"")
            self._refuse(plain(address.decode(errors="replace")), f"its key {user[:8]}... is not admitted here")
        self._zap.send_multipart([version, number, *status, b""])

    def _look(self, now_s: float) -> None:
        self._read()
        for user in self._connections.users():
            if self.allowed(user) is None:
                self._connections.cut(user)
        for address in self._connections.sweep(now_s):
            self._refuse(address, "it sends more than any viewer has to say")
        self._say(self._refusals.due(now_s))

    def _read(self) -> None:
        """Whom we admit, where that has changed; nobody where the list cannot be trusted."""
        if self._folder is None or self._pair is None or (found := signature(self._folder)) == self._signature:
            return
        self._signature, self._rights = found, {}
        try:
            entries, problems = read_admitted(self._folder)
        except UserError as error:
            log.error("nobody is admitted: %s", error)
            return
        for problem in problems:
            log.error("%s", problem)
        viewers = {key_text(entry.public): (entry.name, entry.right) for entry in entries if entry.role is Role.VIEWER}
        self._rights = {key_text(self._pair.public): (self._pair.name, Right.CONTROL), **viewers}

    def _note(self, event: int, value: int) -> None:
        """An event of the guarded socket. That an answer of ours was no comes without its connection, but right before that one's end."""
        if event == zmq.EVENT_ACCEPTED:
            if address := self._connections.accepted(value):
                self._refuse(address, "too many are connected that do not say who they are")
        elif event == zmq.EVENT_DISCONNECTED:
            address, told, self._told = self._connections.ended(value), self._told, False
            if address and not told:
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
