"""Who is let in: CurveZMQ on the board's socket. Keys are checked by ZAP (ZeroMQ RFC 27), answered here in the worker's own loop.

The machine's own key may always look and give orders. On a loopback address there may be no keys; then every local user may do both.
"""

from __future__ import annotations

import logging
import struct
import time
from pathlib import Path
from typing import Optional

import zmq
from zmq.utils import z85

from poselift.app.remote.connections import Connections, plain_address, raise_descriptor_limit
from poselift.app.remote.key_strings import Role, good_name, key_text
from poselift.app.remote.keys import ClientKeys, KeyPair, Permission, admitted, admitted_version, own_pair, read_admitted
from poselift.app.remote.refusal_log import RefusalLog
from poselift.common.errors import UserError

ZAP = "inproc://zeromq.zap.01"
BACKLOG = 128
AT_ONCE = 64
"""Handshakes answered in one call of `poll`."""
EVENTS_AT_ONCE = 256
"""Connections that began or ended, handled in one call of `poll`."""
CHECK_S = 0.1
"""How often the admitted keys, and what each connection has sent, are checked."""

_UNKNOWN = "it has no key, or does not know this board's, or is no poselift"
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED

Socket = zmq.Socket[bytes]

log = logging.getLogger("gate")


class Authenticator:
    """Protects one socket. Call `protect` before it is bound, `poll` several times a second, `permission_of_sender` for each message.

    `folder` is the folder of keys, None to serve without keys. Raises UserError if there is no key pair, or others can read the keys.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self._folder = folder
        self._pair: Optional[KeyPair] = None
        if folder is not None:
            check_curve()
            self._pair = own_pair(folder)
            admitted(folder)
        self._admitted: dict[str, tuple[str, Permission]] = {}
        self._version: object = ()
        self._checked_s = float("-inf")
        self._refusals = RefusalLog()
        self._connections = Connections()
        self._auth_failed = False

    @property
    def nobody_admitted(self) -> bool:
        """Whether there are keys, but no viewer's key is admitted."""
        self._read()
        return self._folder is not None and len(self._admitted) <= 1

    def protect(self, socket: Socket) -> None:
        """Set up the board's socket, before it is bound."""
        raise_descriptor_limit()
        self._protected = socket
        self._zap, self._monitor = socket.context.socket(zmq.REP), socket.context.socket(zmq.PAIR)
        self._zap.bind(ZAP)
        socket.set(zmq.ZAP_DOMAIN, b"poselift")
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # else everybody is let in while nothing is bound to ZAP's address
        if self._pair is not None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._pair.secret)
        socket.set(zmq.BACKLOG, BACKLOG)
        self._monitor.set(zmq.RCVHWM, 0)  # a full queue would block libzmq's thread, and so every viewer
        socket.monitor("inproc://monitor", _EVENTS)
        self._monitor.connect("inproc://monitor")

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """Sockets to poll beside the protected one, so that a handshake is answered at once."""
        return self._zap, self._monitor

    def poll(self, behind: bool = False) -> None:
        """Answer handshakes, end connections that are no longer admitted or send too much, and log who was refused.

        `behind`: messages that came were not read yet. Until they are, newcomers wait: who was cut off would come back with more of them.
        """
        for _ in range(0 if behind else AT_ONCE):
            if not self._zap.poll(0):
                break
            self._answer(self._zap.recv_multipart())
        for _ in range(EVENTS_AT_ONCE):  # the rest is handled by the next call, after viewers' messages
            if not self._monitor.poll(0):
                break
            self._connection_event(*struct.unpack("=Hi", self._monitor.recv_multipart()[0]))
        now_s = time.monotonic()
        if now_s - self._checked_s >= CHECK_S:
            self._checked_s = now_s
            self._check(now_s, behind)

    def permission_of_sender(self, user: str, descriptor: int) -> Optional[Permission]:
        """What the sender of a message may do; None if it is not, or no longer, admitted.

        A message's frame has both: `frame.get("User-Id")` ('' without keys), `frame.get(zmq.SRCFD)`.
        """
        self._connections.authenticated(descriptor, user)
        return self.permission(user)

    def permission(self, user: str) -> Optional[Permission]:
        """What this user may do now; None if its key is not, or no longer, admitted. Ask before sending anything to it."""
        return Permission.CONTROL if self._folder is None else self._admitted.get(user, ("", None))[1]

    def name(self, user: str) -> str:
        """The name under which a user is admitted; empty if it is not."""
        return self._admitted.get(user, ("", None))[0]

    def close(self) -> None:
        """Let nobody in any more. Call it before the protected socket is closed."""
        self._protected.disable_monitor()
        self._zap.close(linger=0)
        self._monitor.close(linger=0)

    def _answer(self, request: list[bytes]) -> None:
        version, number, _domain, address, _routing, mechanism, *credentials = request
        user = key_text(credentials[0]) if mechanism == b"CURVE" and len(credentials) == 1 else ""
        self._read()
        if self.permission(user) is not None:
            status = (b"200", b"", user.encode())
        else:
            status = (b"400", b"not admitted", b"")
            self._refuse(plain_address(address.decode(errors="replace")), f"its key {user[:8]}... is not admitted here")
        self._zap.send_multipart([version, number, *status, b""])

    def _check(self, now_s: float, behind: bool) -> None:
        self._read()
        for user in self._connections.users():
            if self.permission(user) is None:
                self._connections.disconnect(user)
        for address in self._connections.disconnect_flooders(now_s, behind):
            self._refuse(address, "it sends more than any viewer has to say")
        self._log(self._refusals.due(now_s))

    def _read(self) -> None:
        """Read the admitted keys, if they have changed; nobody is admitted if the list cannot be trusted."""
        if self._folder is None or self._pair is None or (version := admitted_version(self._folder)) == self._version:
            return
        self._version, self._admitted = version, {}
        try:
            entries, problems = read_admitted(self._folder)
        except UserError as error:
            log.error("nobody is admitted: %s", error)
            return
        for problem in problems:
            log.error("%s", problem)
        viewers = {key_text(entry.public): (entry.name, entry.permission) for entry in entries if entry.role is Role.VIEWER}
        self._admitted = {key_text(self._pair.public): (self._pair.name, Permission.CONTROL), **viewers}

    def _connection_event(self, event: int, value: int) -> None:
        """Handle an event of the protected socket.

        A failed authentication comes without its connection, but directly before the end of that connection.
        """
        if event == zmq.EVENT_ACCEPTED:
            if address := self._connections.accepted(value):
                self._refuse(address, "too many are connected that do not say who they are")
        elif event == zmq.EVENT_DISCONNECTED:
            address, refused, self._auth_failed = self._connections.closed(value), self._auth_failed, False
            if address and not refused:
                self._refuse(address, _UNKNOWN)
        else:
            self._auth_failed = True

    def _refuse(self, address: str, why: str) -> None:
        self._log(self._refusals.add(address, why, time.monotonic()))

    def _log(self, line: str) -> None:
        if line:
            log.warning("%s", line)


def secure(socket: Socket, keys: ClientKeys) -> None:
    """Set up a viewer's socket, before it is connected."""
    check_curve()
    socket.set(zmq.CURVE_SERVERKEY, keys.board)
    socket.set(zmq.CURVE_PUBLICKEY, keys.own.public)
    socket.set(zmq.CURVE_SECRETKEY, keys.own.secret)


def new_pair(name: str) -> KeyPair:
    """A new key pair. Raises UserError if libzmq cannot make one."""
    check_curve()
    public, secret = map(z85.decode, zmq.curve_keypair())
    return KeyPair(good_name(name), public, secret)


def check_curve() -> None:
    """Raises UserError if libzmq was built without CurveZMQ."""
    if not zmq.has("curve"):
        raise UserError("the ZeroMQ installed here has no CurveZMQ, which keys need; type: pip install --force-reinstall pyzmq")
