"""A recording as a source: the very frames that its detector processed, at their own times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import DAMAGED
from poselift.app.dataflow.messages import Frame, MessageError, Pose2D
from poselift.app.recording.pixels import picture
from poselift.app.recording.reader import Recording
from poselift.common.errors import UserError
from poselift.workers.sources.source import CapturedPicture, Lost


class Replay:
    """Gives the frames for which the recording has a Pose2D: what a live run skipped is skipped again. Without any Pose2D, all frames.

    The poses come out bit for bit as they were where the pictures were recorded as PNG; JPEG changes the pixels a little.
    """

    live = False
    heeds_fps = False

    def __init__(self, settings: CaptureConfig) -> None:
        path = Path(settings.source).expanduser()
        self.name = str(path)
        self._recording = Recording(path)
        self._processed = {pose.frame for pose in self._recording.of(Pose2D)}
        self.frames: Optional[int] = len(self._processed) or None
        self.note = "; ".join(self._recording.notes)
        first = next(self._recording.of(Frame), None)
        if first is None:
            raise UserError("; ".join((f"{self.name}: this recording has no frames", *self._recording.notes)))
        if first.encoding == "none":
            raise UserError(f"{self.name}: this recording was made without pictures; record with record.pictures: jpeg or png")
        self.fps = first.fps

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        """The pictures, with the recorded times."""
        for frame in self._recording.of(Frame):
            if self._processed and frame.frame not in self._processed:
                continue
            try:
                pixels = picture(frame)
            except MessageError:
                yield Lost(1, DAMAGED)
                continue
            if pixels is not None:
                yield CapturedPicture(pixels, frame.t_ns)

    def close(self) -> None:
        """Nothing to give back."""
