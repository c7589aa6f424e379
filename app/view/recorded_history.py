"""A recording as a history: its index is read when it is opened, each message when it is shown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional, TypeVar

import numpy as np

from poselift.app.dataflow.messages import NUMBERED, Frame, Message, Pose2D, Pose3D
from poselift.app.recording.reader import Recording
from poselift.app.view.history import MAX_OVERLAY_AGE_NS, CompressedImage, Snapshot
from poselift.common.errors import UserError

CACHED_MESSAGES = 512
"""How many decoded messages are kept."""

Kind = TypeVar("Kind", Frame, Pose2D, Pose3D)


class RecordedHistory:
    """The `History` of the recording at `path`, all its parts. Raises UserError if it is no recording, or holds no pose and no picture."""

    def __init__(self, path: Path) -> None:
        self._recording = Recording(path)
        self._rows = {kind: self._recording.by_time(kind) for kind in NUMBERED}
        self._cache: OrderedDict[tuple[type[Message], int], Message] = OrderedDict()
        self.notes = self._recording.notes
        """Lines for the user: which parts of the recording are damaged or were left out."""
        if self.span_ns is None:
            raise UserError("; ".join((f"{path}: nothing to look at in this recording: it holds no pose and no picture", *self.notes)))
        self.focal_px = _focal_px(self._recording)
        """The focal length that was set when it was recorded, px; None if none was."""

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """The times of the first and the last picture or pose."""
        rows = [row.times_ns for row in self._rows.values() if len(row.times_ns)]
        return (int(min(times[0] for times in rows)), int(max(times[-1] for times in rows))) if rows else None

    def at(self, t_ns: int) -> Snapshot:
        """What is shown at that time; damaged messages are left out."""
        frame = self._last(Frame, t_ns)
        picture_ns = frame.t_ns if frame else t_ns
        pose_2d, pose_3d = self._last(Pose2D, picture_ns), self._last(Pose3D, picture_ns)
        overlay = pose_3d if pose_3d and (pose_2d is None or pose_3d.t_ns >= pose_2d.t_ns) else pose_2d
        if overlay and picture_ns - overlay.t_ns > MAX_OVERLAY_AGE_NS:
            overlay = None
        has_pixels = frame and frame.encoding in ("jpeg", "png")
        image = CompressedImage(frame.frame, frame.t_ns, frame.width_px, frame.height_px, frame.pixels) if frame and has_pixels else None
        return Snapshot(t_ns, self._last(Pose3D, t_ns), image, overlay, {})

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose (the picture, if there are no poses) so many steps away."""
        times = next(row.times_ns for row in (self._rows[kind] for kind in (Pose3D, Pose2D, Frame)) if len(row.times_ns))
        return int(times[min(max(int(np.searchsorted(times, t_ns, "right")) - 1 + steps, 0), len(times) - 1)])

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses between two times, both included."""
        times = self._rows[Pose3D].times_ns
        found = (self._read(Pose3D, n) for n in range(np.searchsorted(times, first_ns), np.searchsorted(times, last_ns, "right")))
        return [pose for pose in found if pose]

    def _last(self, kind: type[Kind], t_ns: int) -> Optional[Kind]:
        count = int(np.searchsorted(self._rows[kind].times_ns, t_ns, "right"))
        return self._read(kind, count - 1) if count else None

    def _read(self, kind: type[Kind], index: int) -> Optional[Kind]:
        message = self._cache.get((kind, index))
        if message is None:
            message = self._recording.at(self._rows[kind].places[index])
            if message is not None and kind is not Frame:  # pictures are large, and only one is shown at a time
                self._cache[kind, index] = message
            if len(self._cache) > CACHED_MESSAGES:
                self._cache.popitem(last=False)
        return message if isinstance(message, kind) else None


def _focal_px(recording: Recording) -> Optional[float]:
    with suppress(TypeError, ValueError):
        return float(recording.setting("lift", "focal_px"))
    return None
