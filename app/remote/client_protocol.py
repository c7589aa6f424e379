"""The viewer's side of the protocol in `wire.py`: what to send when, and what the answers mean. No socket, no clock."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple, Optional

from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, MessageError, OtherSchema
from poselift.app.remote.clock import RemoteClock
from poselift.app.remote.wire import (
    MAX_PICTURE_BYTES,
    PING_S,
    FromBoard,
    FromViewer,
    Hello,
    Missed,
    Picture,
    Ping,
    Pong,
    Refused,
    Taken,
    Want,
    Welcome,
    from_board,
)

HELLO_S, REFUSED_S = 0.5, 3.0
"""After so long without an answer, or after a refusal, the Hello is repeated."""
AWAY_S = 2.0
"""A board that has been silent for so long is not connected: it has not answered several Pings."""
RECONNECT_S = 3.0
"""After so long a new connection is tried: TCP waits longer and longer between its attempts on the old one."""
FIRST_PINGS = 8
"""So many Pings follow each other quickly, because the clock's offset is wanted at once."""
FIRST_PING_S = 0.05
ACKNOWLEDGE_NS = 10_000_000
"""Between two acknowledgements at least: a pose and its picture arrive close together, and each message costs the board time."""


class HandshakeFailure(IntEnum):
    """Why there is no connection although something answers; the most certain reason first, as several attempts may fail differently."""

    NOT_ADMITTED = 1
    """The board does not admit our key."""
    ONE_SIDE_HAS_KEYS = 2
    """One side uses keys, the other does not."""
    OTHER = 3
    """It is not poselift, has another key than the one we know, or left during the handshake."""


class ConnectionState(NamedTuple):
    """The state of the connection to a board."""

    connected: bool
    """Whether the board answers."""
    silent_s: float
    """Since the board was last heard; if it was never heard, since the first attempt."""
    offset_ns: Optional[int]
    """What to add to this machine's monotonic clock to get the board's; None until known."""
    offset_error_ns: Optional[int]
    """The largest error of that."""
    refused: bool
    """Whether the board refuses us."""
    why: str
    """Why it is not connected, one line for the user; empty while it is."""


class ClientProtocol:
    """The protocol's state on one viewer. Times are ns of the viewer's monotonic clock."""

    def __init__(self, board: str, hello: Hello, now_ns: int) -> None:
        """`board` is its address, for messages to the user."""
        self.welcome: Optional[Welcome] = None
        """What the board told about itself when it was last connected."""
        self.missed: dict[str, int] = {}
        """What was dropped for this viewer, by reason, since it was connected."""
        self._board, self._hello = board, hello
        self._want = Want(0, 0, 0.0)
        self._sent_want: Optional[Want] = None
        self._orders: list[Control] = []
        self._clock = RemoteClock()
        self._begun_ns, self._opened_ns, self._heard_ns = now_ns, now_ns, -1
        self._hello_due_ns, self._ping_due_ns, self._pings = now_ns, now_ns, 0
        self._taken = self._acknowledged = Taken(0, 0, 0)
        self._acknowledge_due_ns = now_ns
        self._partial: Optional[Picture] = None
        self._why, self._was_refused = "", False

    def request_pictures(self, want: Want) -> None:
        """Ask for pictures, now and after each reconnection."""
        self._want = want

    def order(self, command: str, now_ns: int) -> Optional[Answer]:
        """Give the board an order. If it is not connected, that is the answer: an order must not be carried out later."""
        if why := self.state(now_ns).why:
            return Answer(False, why)
        self._orders.append(Control(command))
        return None

    def needs_reconnect(self, now_ns: int) -> bool:
        """Whether to try a new connection; then call `reconnected`."""
        return now_ns - max(self._opened_ns, self._heard_ns) > RECONNECT_S * 1e9

    def reconnected(self, now_ns: int, other_keys: bool = False) -> None:
        """The connection is a new one, on which the board does not know us yet.

        With `other_keys` it is the next of several attempts: why the ones before have failed still holds.
        """
        self._opened_ns = self._hello_due_ns = now_ns
        if not (self._was_refused or other_keys):
            self._why = ""
        self._taken = self._acknowledged = Taken(0, 0, 0)

    def outgoing(self, now_ns: int) -> list[FromViewer]:
        """The messages to send now."""
        messages: list[FromViewer] = []
        if now_ns >= self._hello_due_ns and (not self._taken.session or self._away(now_ns)):
            self._hello_due_ns = now_ns + round(HELLO_S * 1e9)
            messages.append(self._hello)
        if not self._taken.session:
            return messages
        if now_ns >= self._ping_due_ns:
            self._pings += 1
            self._ping_due_ns = now_ns + round((PING_S if self._pings >= FIRST_PINGS else FIRST_PING_S) * 1e9)
            messages.append(Ping(now_ns))
        if self._sent_want != self._want:
            self._sent_want = self._want
            messages.append(self._want)
        if self._acknowledged != self._taken and now_ns >= self._acknowledge_due_ns:
            self._acknowledged, self._acknowledge_due_ns = self._taken, now_ns + ACKNOWLEDGE_NS
            messages.append(self._taken)
        messages += self._orders
        self._orders = []
        return messages

    def due_ns(self) -> int:
        """When `outgoing` has something again, if nothing arrives before."""
        if not self._taken.session:
            return self._hello_due_ns
        return min(self._ping_due_ns, self._acknowledge_due_ns) if self._acknowledged != self._taken else self._ping_due_ns

    def receive(self, data: bytes, now_ns: int) -> Optional[FromBoard]:
        """A message has arrived. Returns it if it is for the application; a picture only when it is complete."""
        try:
            message = from_board(data)
        except OtherSchema as other:
            self._refused(self._which_to_update(other.schema), now_ns)
            return None
        except MessageError as error:
            self._refused(f"what answers at {self._board} is no poselift that this one knows ({error})", now_ns)
            return None
        self._heard_ns = now_ns
        if isinstance(message, Refused):
            self._refused(f"{self._board} refuses: {message.why}", now_ns)
            return None
        if isinstance(message, Welcome):
            self._welcomed(message, now_ns)
            return message
        if not self._taken.session:
            return None
        self._taken = replace(self._taken, messages=self._taken.messages + 1)
        self._why = f"the pipeline on {self._board} has ended" if isinstance(message, End) else ""
        if isinstance(message, Pong):
            self._clock.add(message.sent_ns, message.board_ns, now_ns)
            return None
        if isinstance(message, Picture):
            return self._completed(message)
        if isinstance(message, Missed):
            self.missed = message.drops
        return message

    def handshake_failed(self, failure: HandshakeFailure, with_keys: bool, now_ns: int) -> None:
        """Something answers, but there is no connection. `with_keys` tells whether we tried with keys."""
        both = "on both machines type: poselift keys new, and then what it prints for the other"
        if failure is HandshakeFailure.NOT_ADMITTED:
            self._refused(f"{self._board} does not admit this machine's key; admit there what `poselift keys show` prints here", now_ns)
        elif failure is HandshakeFailure.ONE_SIDE_HAS_KEYS and with_keys:
            self._refused(f"{self._board} serves without keys, which is for its own machine, or a tunnel to 127.0.0.1 there", now_ns)
        elif failure is HandshakeFailure.ONE_SIDE_HAS_KEYS:
            self._refused(f"{self._board} uses keys, and this machine has none that fits; {both}", now_ns)
        elif not (self._taken.session or self._was_refused):
            other = "has another key than the one admitted here, or none" if with_keys else f"uses keys that this machine has not: {both}"
            self._why = f"what is at {self._board} is no poselift, or {other}"
            self._opened_ns = now_ns  # something answers, and ZeroMQ tries again by itself

    def state(self, now_ns: int) -> ConnectionState:
        """The state of the connection."""
        silent_s = (now_ns - (self._begun_ns if self._heard_ns < 0 else self._heard_ns)) / 1e9
        connected = bool(self._taken.session) and not self._away(now_ns)
        refused = self._was_refused and silent_s < 2 * REFUSED_S
        offset_ns, error_ns = self._clock.offset(now_ns) or (None, None)
        why = self._why if refused or not self._was_refused else ""
        return ConnectionState(connected, silent_s, offset_ns, error_ns, refused, "" if connected else why or self._silence(silent_s))

    def board_ns(self, now_ns: int) -> Optional[int]:
        """The board's monotonic clock now; None until known."""
        offset = self._clock.offset(now_ns)
        return None if offset is None else now_ns + offset.offset_ns

    def _away(self, now_ns: int) -> bool:
        return now_ns - self._heard_ns > AWAY_S * 1e9

    def _silence(self, silent_s: float) -> str:
        if self._heard_ns < 0:
            return f"no answer from {self._board} for {silent_s:.0f} s; is it the right address, and does the board serve there?"
        return f"nothing heard from {self._board} for {silent_s:.0f} s; trying again"

    def _refused(self, why: str, now_ns: int) -> None:
        self._why, self._was_refused, self._heard_ns = why, True, now_ns
        self._taken = self._acknowledged = Taken(0, 0, 0)
        self._hello_due_ns = now_ns + round(REFUSED_S * 1e9)

    def _which_to_update(self, schema: int) -> str:
        side = "here" if schema > SCHEMA else "there"
        return f"{self._board} speaks schema {schema} of the messages, this poselift {SCHEMA}: update poselift {side}"

    def _welcomed(self, welcome: Welcome, now_ns: int) -> None:
        self.welcome, self._was_refused = welcome, False
        if welcome.session == self._taken.session:
            return
        self._taken = self._acknowledged = Taken(welcome.session, 0, 0)
        self._clock, self._ping_due_ns, self._pings = RemoteClock(), now_ns, 0
        self._sent_want, self._partial, self.missed, self._why = None, None, {}, ""

    def _completed(self, piece: Picture) -> Optional[Picture]:
        """The whole picture, if this is its last piece."""
        before = self._partial
        if piece.offset_bytes:
            if before is None or (before.frame, len(before.jpeg)) != (piece.frame, piece.offset_bytes):
                return None
            piece = replace(piece, offset_bytes=0, jpeg=before.jpeg + piece.jpeg)
        self._partial = piece if len(piece.jpeg) < piece.total_bytes <= MAX_PICTURE_BYTES else None
        if self._partial:
            return None
        self._taken = replace(self._taken, pictures=self._taken.pictures + 1)
        return piece if len(piece.jpeg) == piece.total_bytes else None
