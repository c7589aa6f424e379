"""A recording as a source: the very frames that its detector processed, at their own times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from app.config import CaptureConfig
from app.dataflow.messages import Frame, Pose2D
from app.errors import UserError
from app.recording.pixels import picture
from app.recording.reader import read
from workers.sources.picture import Picture


class Replay:
    """Gives the frames for which the recording has a Pose2D: what a live run skipped is skipped again. Without any Pose2D, all frames.

    The poses come out bit for bit as they were where the pictures were recorded as PNG; JPEG changes the pixels a little.
    """

    live = False
    heeds_fps = False

    def __init__(self, settings: CaptureConfig) -> None:
        self._path = Path(settings.source).expanduser()
        self.name = str(self._path)
        self.note = ""
        first = next(read(self._path, [Frame]), None)
        if not isinstance(first, Frame):
            raise UserError(f"{self.name}: this recording has no frames")
        if first.encoding == "none":
            raise UserError(f"{self.name}: this recording was made without pictures; record with record.pictures: jpeg or png")
        self.fps = first.fps
        self._processed = {message.frame for message in read(self._path, [Pose2D]) if isinstance(message, Pose2D)}
        self.frames: Optional[int] = len(self._processed) or None

    def __iter__(self) -> Iterator[Picture]:
        """The pictures, with the recorded times."""
        for message in read(self._path, [Frame], note=self._take_note):
            if not isinstance(message, Frame) or (self._processed and message.frame not in self._processed):
                continue
            pixels = picture(message)
            if pixels is not None:
                yield Picture(pixels, message.t_ns)

    def close(self) -> None:
        """Nothing to give back."""

    def _take_note(self, line: str) -> None:
        self.note = line
