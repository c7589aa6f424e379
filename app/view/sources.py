"""What the viewer looks at: a board, live, or a recording."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from poselift.app.dataflow.messages import Answer, End, Health, Pose2D, Pose3D
from poselift.app.dataflow.session import Session
from poselift.app.dataflow.streams import RECORDER, STAGES
from poselift.app.recording.orders import RECORD_START, RECORD_STOP
from poselift.app.remote.client import Client
from poselift.app.remote.wire import Picture, Welcome
from poselift.app.view.history import CompressedImage, History
from poselift.app.view.hud_text import STALE_S
from poselift.app.view.live_history import LiveHistory
from poselift.app.view.recorded_history import RecordedHistory

STALE_FRAMES = 3
"""A slow camera's pose is stale when so many should have followed it."""
PICTURE_QUALITY, PICTURE_RATE_HZ = 80, 15.0


class Status(NamedTuple):
    """The state of a source."""

    mode: str = ""
    """'live', 'connecting', 'waiting' (connected, nothing to show yet), 'stale' or 'ended'; '' for a recording."""
    age_s: float = 0.0
    """The age of what is shown, at least; of a live stream."""
    why: str = ""
    """Why it is not live, one line for the user."""
    age_error_ms: Optional[float] = None
    """The largest error of ages; None while it is not known."""
    recording: str = ""
    """What the board records to; empty while it does not."""


class Source:
    """What the viewer looks at. What makes no sense for a kind of source does nothing."""

    name: str
    """The board or the file, for the user."""
    live: bool
    """Whether the newest frame is shown, not one of a recording."""
    focal_px: Optional[float]
    """The camera's focal length; None if it is not known."""
    history: History

    @property
    def missed(self) -> int:
        """How many messages and pictures were dropped for this viewer."""
        return 0

    def poll(self, now_s: float) -> None:
        """Take in what has arrived. `now_s` is the monotonic clock."""

    def status(self, now_s: float) -> Status:
        """The state of the source."""
        return Status()

    def freeze(self, frozen: bool) -> None:
        """Keep `history` as it is, or let it go on."""

    def age_ns(self, pose: Pose3D) -> Optional[int]:
        """The age of a pose now; None if it is not known."""

    def request_pictures(self, width_px: int) -> None:
        """Ask for pictures of this width; 0 for none."""

    def toggle_recording(self) -> str:
        """Order the board to start or stop recording. A line for the user."""
        raise NotImplementedError

    def take_notice(self) -> str:
        """A new line for the user, such as the board's answer to an order; empty if there is none."""
        raise NotImplementedError

    def close(self) -> None:
        """Disconnect."""


class LiveSource(Source):
    """A board's stream, with its last 30 s."""

    live = True

    def __init__(self, client: Client, name: str) -> None:
        self.name, self._client = name, client
        self.focal_px = None
        self._live_history = LiveHistory()
        self.history = self._live_history
        self._recording = self._answer = ""
        self._may_control = True
        self._ended, self._broken = False, ""
        self._requested_px = -1
        self._stale_s = STALE_S
        self._session: Optional[Session] = None
        self._newest: dict[type, tuple[Any, float]] = {}

    @property
    def missed(self) -> int:
        """How many messages and pictures the board dropped for this viewer."""
        return sum(self._client.missed.values())

    def poll(self, now_s: float) -> None:
        """Take in what has arrived."""
        for message in self._client.receive(0):
            self._newest[type(message)] = message, now_s
            if isinstance(message, Picture):
                self._live_history.add(CompressedImage(message.frame, message.t_ns, message.width_px, message.height_px, message.jpeg))
            elif isinstance(message, (Pose2D, Pose3D)):
                self._live_history.add(message)
                self._ended = False
            elif isinstance(message, Health):
                self._live_history.add(message)
                if message.worker == RECORDER:
                    self._recording = message.recording
            elif isinstance(message, Welcome):
                self.name, self._may_control = message.board or self.name, message.may_control
                self.focal_px = message.camera.focal_px or None
                self._stale_s = max(STALE_S, STALE_FRAMES / message.camera.fps) if message.camera.fps else STALE_S
                if self._session not in (None, message.pipeline):
                    self._reset()
                self._session = message.pipeline
            elif isinstance(message, Answer):
                self._answer = message.text
            elif isinstance(message, End):
                self._ended, self._broken = True, f"{message.broken} died" if message.broken else ""

    def status(self, now_s: float) -> Status:
        """The state of the stream. It is live while what is shown is fresh, whatever else arrives."""
        state = self._client.state
        error_ms = None if state.offset_error_ns is None else state.offset_error_ns / 1e6
        recording = self._recording if state.connected and not self._ended else ""
        newest = next((self._newest[kind] for kind in (Pose3D, Pose2D, Picture) if kind in self._newest), None)
        if newest is None:
            return Status("waiting" if state.connected else "connecting", 0.0, state.why or self._worker_note(), error_ms, recording)
        message, arrived_s = newest
        age_ns = (self._client.age_ns(message) or 0) - getattr(message, "delay_ns", 0)
        age_s = max(now_s - arrived_s, age_ns / 1e9)
        mode = "ended" if self._ended else "live" if state.connected and age_s <= self._stale_s else "stale"
        why = {"live": "", "ended": self._broken}.get(mode, state.why or self._worker_note())
        return Status(mode, age_s, why, error_ms, recording)

    def freeze(self, frozen: bool) -> None:
        """Show a copy of the history. What arrives meanwhile is kept too."""
        self.history = self._live_history.frozen_copy() if frozen else self._live_history

    def age_ns(self, pose: Pose3D) -> Optional[int]:
        """The age of a pose now, by the board's clock."""
        return self._client.age_ns(pose)

    def request_pictures(self, width_px: int) -> None:
        """Ask the board for pictures of this width; 0 for none."""
        if width_px != self._requested_px:
            self._client.request_pictures(max(width_px, 1), PICTURE_QUALITY, PICTURE_RATE_HZ if width_px else 0.0)
            self._requested_px = width_px

    def toggle_recording(self) -> str:
        """Order the board to start or stop recording."""
        if not self._may_control:
            return "this viewer may look only: the board does not take its orders"
        order = RECORD_STOP if self._recording else RECORD_START
        self._client.order(order)
        return f"{order} …"

    def take_notice(self) -> str:
        """The board's answer to an order."""
        answer, self._answer = self._answer, ""
        return answer

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _reset(self) -> None:
        """The pipeline has begun another session: forget the one before."""
        self._live_history.reset()
        self._newest, self._ended, self._recording = {}, False, ""

    def _worker_note(self) -> str:
        """Why no pose may arrive, as the workers report it."""
        health = self._live_history.at(0).health
        notes = (f"{worker}: {health[worker].note}" for worker in STAGES if worker in health and health[worker].note)
        return next(notes, "")


class RecordingSource(Source):
    """A recording."""

    live = False

    def __init__(self, history: RecordedHistory, name: str) -> None:
        self.name, self.history = name, history
        self.focal_px = history.focal_px
        self._notice = "; ".join(note.rpartition("/")[2] for note in history.notes)

    def toggle_recording(self) -> str:
        """Not possible."""
        return "this is a recording already"

    def take_notice(self) -> str:
        """At first what in it is damaged, then nothing."""
        notice, self._notice = self._notice, ""
        return notice
