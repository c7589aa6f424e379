"""Where what is shown comes from: a board, live, or a recording. Both tell the same things to `app/view/show.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Protocol

from poselift.app.dataflow.messages import Answer, End, Health, Pose2D, Pose3D
from poselift.app.dataflow.session import Session
from poselift.app.dataflow.streams import RECORDER, STAGES
from poselift.app.remote.wire import Picture, Welcome
from poselift.app.view.buffer import Buffer
from poselift.app.view.feed import Feed
from poselift.app.view.moments import Moments, Shot
from poselift.app.view.recorded import Recorded
from poselift.app.view.words import STALE_S

STALE_PICTURES = 3
"""A slow camera's pose is called old when so many should have come since."""
PICTURE_QUALITY, PICTURE_RATE_HZ = 80, 15.0
RECORD_WAIT_S = 3.0


class Status(NamedTuple):
    """How the source is."""

    mode: str
    """'live', 'connecting', 'waiting' (connected, nothing to show yet), 'stale' or 'ended'; '' for a recording."""
    old_s: float = 0.0
    """How old what is shown is, at least; of a live stream."""
    why: str = ""
    age_error_ms: Optional[float] = None
    recording: str = ""


class Source(Protocol):
    """What is looked at."""

    @property
    def name(self) -> str:
        """The board or the file, for people."""

    @property
    def follows(self) -> bool:
        """Whether the newest moment is shown (live)."""

    @property
    def focal_px(self) -> Optional[float]:
        """The camera's; None where nobody told."""

    @property
    def moments(self) -> Moments:
        """What there is to go through."""

    def poll(self, now_s: float) -> bool:
        """Take what has come by this time of the monotonic clock; whether anything did."""

    def status(self, now_s: float) -> Status:
        """How it is."""

    def freeze(self, frozen: bool) -> None:
        """Keep the moments as they are, or go on."""

    def age_ns(self, pose: Pose3D) -> Optional[int]:
        """How old a pose is now."""

    def want(self, width_px: int) -> None:
        """So wide pictures are shown (0: none)."""

    def record(self) -> str:
        """Have the board begin to record, or end it; a line for people."""

    def said(self) -> str:
        """What the board answered since the last call; empty where nothing."""

    def drops(self, health: Mapping[str, Health]) -> int:
        """What this viewer missed."""

    def close(self) -> None:
        """Give back what is held."""


class Live:
    """A board's stream, and its last 30 s."""

    follows = True

    def __init__(self, feed: Feed, name: str) -> None:
        self.name, self._feed = name, feed
        self.focal_px: Optional[float] = None
        self._buffer = Buffer()
        self.moments: Buffer = self._buffer
        self._recording = self._said = ""
        self._may_control = True
        self._ended, self._broken = False, ""
        self._wanted = -1
        self._stale_s = STALE_S
        self._pipeline: Optional[Session] = None
        self._came: dict[type, tuple[Any, float]] = {}

    def poll(self, now_s: float) -> bool:
        """Take what has come by this time of the monotonic clock; whether anything did."""
        messages = self._feed.receive(0)
        for message in messages:
            self._came[type(message)] = message, now_s
            if isinstance(message, Picture):
                self._buffer.add(Shot(message.frame, message.t_ns, message.width_px, message.height_px, message.jpeg))
            elif isinstance(message, (Pose2D, Pose3D)):
                self._buffer.add(message)
                self._ended = False
            elif isinstance(message, Health):
                self._buffer.add(message)
                if message.worker == RECORDER:
                    self._recording = message.recording
            elif isinstance(message, Welcome):
                self.name, self._may_control = message.board or self.name, message.may_control
                self.focal_px = message.camera.focal_px or None
                self._stale_s = max(STALE_S, STALE_PICTURES / message.camera.fps) if message.camera.fps else STALE_S
                if self._pipeline not in (None, message.pipeline):
                    self._begin_anew()
                self._pipeline = message.pipeline
            elif isinstance(message, Answer):
                self._said = message.text
            elif isinstance(message, End):
                self._ended, self._broken = True, f"{message.broken} died" if message.broken else ""
        return bool(messages)

    def status(self, now_s: float) -> Status:
        """How the stream is: live while what is shown is fresh, whatever else comes."""
        link = self._feed.link
        error_ms = None if link.offset_error_ns is None else link.offset_error_ns / 1e6
        recording = self._recording if link.connected and not self._ended else ""
        newest = next((self._came[kind] for kind in (Pose3D, Pose2D, Picture) if kind in self._came), None)
        if newest is None:
            return Status("waiting" if link.connected else "connecting", 0.0, link.why or self._trouble(), error_ms, recording)
        message, came_s = newest
        age_ns = (self._feed.age_ns(message) or 0) - getattr(message, "delay_ns", 0)
        old_s = max(now_s - came_s, age_ns / 1e9)
        mode = "ended" if self._ended else "live" if link.connected and old_s <= self._stale_s else "stale"
        why = {"live": "", "ended": self._broken}.get(mode, link.why or self._trouble())
        return Status(mode, old_s, why, error_ms, recording)

    def _begin_anew(self) -> None:
        """Another run of the pipeline: nothing from before is of it."""
        self._buffer.begin_anew()
        self._came, self._ended, self._recording = {}, False, ""

    def _trouble(self) -> str:
        """Why no pose may come, as the workers say."""
        health = self._buffer.at(0).health
        notes = (f"{worker}: {health[worker].note}" for worker in STAGES if worker in health and health[worker].note)
        return next(notes, "")

    def freeze(self, frozen: bool) -> None:
        """What is kept now stays for as long as somebody looks at it; what comes meanwhile is kept too."""
        self.moments = self._buffer.frozen() if frozen else self._buffer

    def age_ns(self, pose: Pose3D) -> Optional[int]:
        """How old a pose is now, by the board's clock."""
        return self._feed.age_ns(pose)

    def want(self, width_px: int) -> None:
        """Ask the board for pictures so wide; 0 for none."""
        if width_px != self._wanted:
            self._feed.want(max(width_px, 1), PICTURE_QUALITY, PICTURE_RATE_HZ if width_px else 0.0)
            self._wanted = width_px

    def record(self) -> str:
        """Order the board to record, or to stop."""
        if not self._may_control:
            return "this viewer may look only: the board does not take its orders"
        order = "record stop" if self._recording else "record start"
        self._feed.order(order)
        return f"{order} …"

    def said(self) -> str:
        """The board's answer to an order."""
        said, self._said = self._said, ""
        return said

    def drops(self, health: Mapping[str, Health]) -> int:
        """Messages that the board left out for this viewer."""
        return sum(self._feed.missed.values())

    def close(self) -> None:
        """Disconnect."""
        self._feed.close()


class Replay:
    """A recording."""

    follows = False

    def __init__(self, recorded: Recorded, name: str) -> None:
        self.name, self.moments = name, recorded
        self.focal_px = recorded.focal_px
        self._said = "; ".join(note.rpartition("/")[2] for note in recorded.notes)

    def poll(self, now_s: float) -> bool:
        """Nothing comes."""
        return False

    def status(self, now_s: float) -> Status:
        """A recording is always there."""
        return Status("")

    def freeze(self, frozen: bool) -> None:
        """It does not change anyhow."""

    def age_ns(self, pose: Pose3D) -> Optional[int]:
        """Of no meaning here."""

    def want(self, width_px: int) -> None:
        """Its pictures are as they are."""

    def record(self) -> str:
        """It is one already."""
        return "this is a recording already"

    def said(self) -> str:
        """At first what is damaged; nobody answers."""
        said, self._said = self._said, ""
        return said

    def drops(self, health: Mapping[str, Health]) -> int:
        """Nothing is missed."""
        return 0

    def close(self) -> None:
        """Nothing is held that would need it."""
