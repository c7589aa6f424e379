"""What one viewer is to be sent: answers first, then the newest pose, the newest reports, and pictures in pieces. No socket, no clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Optional

from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Health, Pose2D, Pose3D, encode
from poselift.app.remote.congestion_window import CongestionWindow
from poselift.app.remote.frame_pacing import EARLY_NS
from poselift.app.remote.wire import Missed, Picture, Taken, Welcome

MAX_PICTURES_IN_FLIGHT = 2
MAX_ANSWERS = 32
"""So many answers may wait; a viewer that asks faster than it reads loses the others."""
PIECE_BYTES = 1 << 10
"""The smallest piece of a picture; the larger the congestion window, the larger the pieces."""
MISSED_INTERVAL_NS = 1_000_000_000
"""A viewer is told at most this often what it missed."""
NO_ROOM = "no_room"


class PictureSize(NamedTuple):
    """What pictures a viewer gets."""

    width_px: int
    quality: int


class _Next(NamedTuple):
    """The next message, and what to do once it is sent."""

    data: bytes
    sent: Callable[[], None]


class SendQueue:
    """Holds only the newest message of each kind until there is room. Times are ns of the board's monotonic clock."""

    def __init__(self) -> None:
        self.drops: dict[str, int] = {}
        """What this viewer did not get, by reason."""
        self.picture_interval_ns = math.inf
        """Between two pictures, as the viewer asked for; infinite if it wants none."""
        self._window = CongestionWindow()
        self._answers: deque[tuple[bytes, bool]] = deque()
        self._newest: dict[str, tuple[bytes, int]] = {}
        self._picture: Optional[Picture] = None
        self._pictures_begun = self._pictures_acknowledged = 0
        self._picture_size, self._last_picture_ns = PictureSize(0, 0), -math.inf
        self._reported_drops: dict[str, int] = {}
        self._report_drops_ns = 0

    @property
    def drained(self) -> bool:
        """Whether all answers were sent, and everything that was sent has arrived."""
        return not self._answers and self._window.empty

    def answer(self, message: Any) -> None:
        """A message for this viewer alone, sent before everything else."""
        if len(self._answers) < MAX_ANSWERS:
            self._answers.append((encode(message), not isinstance(message, Welcome)))
        else:
            self._drop(type(message).__name__)

    def put(self, message: Any, data: bytes) -> None:
        """A message for all viewers, and its bytes. It replaces an older one of its kind that still waits."""
        kind = type(message).__name__
        key = f"{kind} {message.worker}" if isinstance(message, Health) else kind
        if self._newest.pop(key, None):
            self._drop(kind)
        self._newest[key] = data, message.frame if isinstance(message, (Pose2D, Pose3D)) else 0
        if isinstance(message, Pose3D) and self._newest.get("Pose2D", (b"", math.inf))[1] <= message.frame:
            del self._newest["Pose2D"]  # the Pose3D has the same keypoints
            self._drop("Pose2D")

    def end(self, message: Any) -> None:
        """The last message. Everything else that waits is dropped."""
        self._newest, self._picture, self._reported_drops = {}, None, self.drops
        self.answer(message)

    def request_pictures(self, size: PictureSize, rate_hz: float) -> None:
        """From now on the viewer gets such pictures, at most so many a second; 0 for none."""
        self._picture_size, self.picture_interval_ns = size, 1e9 / rate_hz if rate_hz > 0 else math.inf

    def picture_due(self, now_ns: int) -> Optional[PictureSize]:
        """The size of the picture that the viewer gets of the frame that is shown now.

        None if it got one too recently, or if earlier pictures are still on their way; the latter counts as a drop.
        """
        if now_ns - self._last_picture_ns < self.picture_interval_ns - 2 * EARLY_NS:
            return None
        self._last_picture_ns = now_ns
        in_flight = self._pictures_begun - self._pictures_acknowledged
        if (self._picture and self._picture.offset_bytes) or in_flight >= MAX_PICTURES_IN_FLIGHT:
            self._drop("Picture")
            return None
        return self._picture_size

    def put_picture(self, picture: Picture) -> None:
        """The picture that was due. It replaces one of which nothing has been sent yet."""
        if self._picture:
            self._drop("Picture")
        self._picture = picture

    def acknowledge(self, taken: Taken, now_ns: int) -> None:
        """The viewer has received so much."""
        self._window.acknowledge(taken.messages, now_ns)
        if self._pictures_acknowledged < taken.pictures <= self._pictures_begun - bool(self._picture and self._picture.offset_bytes):
            self._pictures_acknowledged = taken.pictures

    def flush(self, send: Callable[[bytes], bool], now_ns: int) -> None:
        """Pass to `send` what there is room for, until it returns False."""
        while (following := self._next(now_ns)) and send(following.data):
            following.sent()

    def _next(self, now_ns: int) -> Optional[_Next]:
        if self._answers:
            return _Next(self._answers[0][0], lambda: self._sent_answer(now_ns))
        if not (self._newest or self._picture or self._reported_drops != self.drops) or not self._window.has_room():
            return None
        if self._newest:
            key = min(self._newest, key=lambda key: (not key.startswith("Pose3D"), not key.startswith("Pose2D")))
            return _Next(self._newest[key][0], lambda: self._sent_newest(key, now_ns))
        if self._reported_drops != self.drops and now_ns >= self._report_drops_ns:
            data = encode(Missed(self.drops))
            return _Next(data, lambda: self._sent_missed(len(data), now_ns))
        return self._piece(self._picture, now_ns) if self._picture else None

    def _piece(self, picture: Picture, now_ns: int) -> _Next:
        """The next piece of a picture; its `offset_bytes` is how much of it was sent."""
        begin, length = picture.offset_bytes, max(PIECE_BYTES, self._window.size_bytes // 4)
        data = encode(replace(picture, jpeg=picture.jpeg[begin : begin + length]))
        return _Next(data, lambda: self._sent_piece(picture, begin + length, len(data), now_ns))

    def _sent_answer(self, now_ns: int) -> None:
        data, counts = self._answers.popleft()
        if counts:
            self._window.sent_one(len(data), now_ns)

    def _sent_newest(self, key: str, now_ns: int) -> None:
        self._window.sent_one(len(self._newest.pop(key)[0]), now_ns)

    def _sent_piece(self, picture: Picture, end: int, size_bytes: int, now_ns: int) -> None:
        self._pictures_begun += not picture.offset_bytes
        self._picture = replace(picture, offset_bytes=end) if end < len(picture.jpeg) else None
        self._window.sent_one(size_bytes, now_ns)

    def _sent_missed(self, size_bytes: int, now_ns: int) -> None:
        self._reported_drops, self._report_drops_ns = dict(self.drops), now_ns + MISSED_INTERVAL_NS
        self._window.sent_one(size_bytes, now_ns)

    def _drop(self, kind: str) -> None:
        add(self.drops, {f"{NO_ROOM}:{kind}": 1})
