"""What one viewer is to be sent: poses first, always the newest, pictures in pieces between them. No socket, no clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Optional

from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Health, Pose2D, Pose3D, encode
from poselift.app.remote.cadence import EARLY_NS
from poselift.app.remote.window import Window
from poselift.app.remote.wire import Missed, Picture, Taken, Welcome

UNTAKEN = 2
"""So many pictures may be on their way."""
URGENT = 32
"""So many answers may wait; a viewer that asks faster than it reads gets no more."""
PIECE_BYTES = 1 << 10
"""The smallest piece of a picture; the larger the window, the larger the pieces."""
MISSED_NS = 1_000_000_000
"""A viewer is told so often what it missed, when it missed more."""
NO_ROOM = "no_room"


class Size(NamedTuple):
    """What pictures a viewer gets."""

    width_px: int
    quality: int


class _Next(NamedTuple):
    """What is sent next, and what is to be noted then."""

    data: bytes
    sent: Callable[[], None]


class Outbox:
    """Holds of each kind the newest alone, until there is room. Times are ns of the board's monotonic clock."""

    def __init__(self) -> None:
        self.drops: dict[str, int] = {}
        """What this viewer did not get, by reason."""
        self._window = Window()
        self._urgent: deque[tuple[bytes, bool]] = deque()
        self._newest: dict[str, tuple[bytes, int]] = {}
        self._picture: Optional[Picture] = None
        self._begun = self._taken = 0
        self.interval_ns = math.inf
        """Between two pictures, as the viewer wants it."""
        self._size, self._last_ns = Size(0, 0), -math.inf
        self._told: dict[str, int] = {}
        self._tell_ns = 0

    @property
    def settled(self) -> bool:
        """Whether the viewer has all that was for it alone, and all that was sent."""
        return not self._urgent and self._window.empty

    def answer(self, message: Any) -> None:
        """Something that this viewer alone gets, before everything else."""
        if len(self._urgent) < URGENT:
            self._urgent.append((encode(message), not isinstance(message, Welcome)))
        else:
            self._drop(type(message).__name__)

    def put(self, message: Any, data: bytes) -> None:
        """A message that every viewer gets, and its bytes. It takes the place of an older one that still waits."""
        kind = type(message).__name__
        key = f"{kind} {message.worker}" if isinstance(message, Health) else kind
        if self._newest.pop(key, None):
            self._drop(kind)
        self._newest[key] = data, message.frame if isinstance(message, (Pose2D, Pose3D)) else 0
        if isinstance(message, Pose3D) and self._newest.get("Pose2D", (b"", math.inf))[1] <= message.frame:
            del self._newest["Pose2D"]  # its keypoints come with the Pose3D
            self._drop("Pose2D")

    def end(self, message: Any) -> None:
        """The last message: what still waits for room goes nowhere."""
        self._newest, self._picture, self._told = {}, None, self.drops
        self.answer(message)

    def want(self, size: Size, rate_hz: float) -> None:
        """From now on the viewer gets such pictures, at most so many a second."""
        self._size, self.interval_ns = size, 1e9 / rate_hz if rate_hz > 0 else math.inf

    def due(self, now_ns: int) -> Optional[Size]:
        """Of which size it wants a frame, now that it is its turn; None where it has no credit for it, which is counted.

        None too where the last one was just now, however often it asks anew.
        """
        if now_ns - self._last_ns < self.interval_ns - 2 * EARLY_NS:
            return None
        self._last_ns = now_ns
        under_way = self._begun - self._taken
        if (self._picture and self._picture.offset_bytes) or under_way >= UNTAKEN:
            self._drop("Picture")
            return None
        return self._size

    def show(self, picture: Picture) -> None:
        """The picture that was due; it takes the place of one that has not begun to be sent."""
        if self._picture:
            self._drop("Picture")
        self._picture = picture

    def taken(self, taken: Taken, now_ns: int) -> None:
        """What has arrived there makes room here."""
        self._window.taken(taken.messages, now_ns)
        if self._taken < taken.pictures <= self._begun - bool(self._picture and self._picture.offset_bytes):
            self._taken = taken.pictures

    def send(self, send: Callable[[bytes], bool], now_ns: int) -> None:
        """Give to `send` what there is room for, until it says that it has none."""
        while (following := self._next(now_ns)) and send(following.data):
            following.sent()

    def _next(self, now_ns: int) -> Optional[_Next]:
        if self._urgent:
            return _Next(self._urgent[0][0], lambda: self._sent_urgent(now_ns))
        if not (self._newest or self._picture or self._told != self.drops) or not self._window.room():
            return None
        if self._newest:
            key = min(self._newest, key=lambda key: (not key.startswith("Pose3D"), not key.startswith("Pose2D")))
            return _Next(self._newest[key][0], lambda: self._sent_newest(key, now_ns))
        if self._told != self.drops and now_ns >= self._tell_ns:
            data = encode(Missed(self.drops))
            return _Next(data, lambda: self._sent_missed(len(data), now_ns))
        return self._piece(self._picture, now_ns) if self._picture else None

    def _piece(self, picture: Picture, now_ns: int) -> _Next:
        """The next piece of a picture, whose `offset_bytes` is how much of it was sent."""
        begin, length = picture.offset_bytes, max(PIECE_BYTES, self._window.size_bytes // 4)
        data = encode(replace(picture, jpeg=picture.jpeg[begin : begin + length]))
        return _Next(data, lambda: self._sent_piece(picture, begin + length, len(data), now_ns))

    def _sent_urgent(self, now_ns: int) -> None:
        data, counts = self._urgent.popleft()
        if counts:
            self._window.put(len(data), now_ns)

    def _sent_newest(self, key: str, now_ns: int) -> None:
        self._window.put(len(self._newest.pop(key)[0]), now_ns)

    def _sent_piece(self, picture: Picture, end: int, size_bytes: int, now_ns: int) -> None:
        self._begun += not picture.offset_bytes
        self._picture = replace(picture, offset_bytes=end) if end < len(picture.jpeg) else None
        self._window.put(size_bytes, now_ns)

    def _sent_missed(self, size_bytes: int, now_ns: int) -> None:
        self._told, self._tell_ns = dict(self.drops), now_ns + MISSED_NS
        self._window.put(size_bytes, now_ns)

    def _drop(self, kind: str) -> None:
        add(self.drops, {f"{NO_ROOM}:{kind}": 1})
