"""A recording to go through: by the index of its messages, each is read when it is looked at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional, TypeVar

import numpy as np
import yaml

from poselift.app.dataflow.messages import Frame, Message, Pose2D, Pose3D
from poselift.app.recording.reader import Recording
from poselift.app.view.buffer import SKIPPED_NS
from poselift.app.view.moments import Moment, Shot
from poselift.common.errors import UserError

HELD_MESSAGES = 512
"""So many that were looked at stay decoded."""

Kind = TypeVar("Kind", Frame, Pose2D, Pose3D)


class Recorded:
    """The recording at `path`, all its parts. Raises UserError where it is none or holds nothing to look at."""

    def __init__(self, path: Path) -> None:
        self._recording = Recording(path)
        self._rows = {kind: self._recording.by_time(kind) for kind in (Frame, Pose2D, Pose3D)}
        self._held: OrderedDict[tuple[type[Message], int], Message] = OrderedDict()
        self.notes = self._recording.notes
        """Lines for people: what of it is damaged or was left out."""
        if self.span_ns is None:
            raise UserError("; ".join((f"{path}: nothing to look at in this recording: it holds no pose and no picture", *self.notes)))
        self.focal_px = _focal_px(self._recording.info)
        """The focal length that was set, px; None where none was."""

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """Times of the first and the last picture or pose."""
        rows = [row.times_ns for row in self._rows.values() if len(row.times_ns)]
        return (int(min(times[0] for times in rows)), int(max(times[-1] for times in rows))) if rows else None

    def at(self, t_ns: int) -> Moment:
        """What was at that time; what is damaged is left out."""
        frame = self._last(Frame, t_ns)
        of_ns = frame.t_ns if frame else t_ns
        flat, deep = self._last(Pose2D, of_ns), self._last(Pose3D, of_ns)
        overlay = deep if deep and (flat is None or deep.t_ns >= flat.t_ns) else flat
        if overlay and of_ns - overlay.t_ns > SKIPPED_NS:
            overlay = None
        pictured = frame and frame.encoding in ("jpeg", "png")
        shot = Shot(frame.frame, frame.t_ns, frame.width_px, frame.height_px, frame.pixels) if frame and pictured else None
        return Moment(t_ns, self._last(Pose3D, t_ns), shot, overlay, {})

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose (or picture, where there are no poses) so many before or after."""
        times = next(row.times_ns for row in (self._rows[kind] for kind in (Pose3D, Pose2D, Frame)) if len(row.times_ns))
        return int(times[min(max(int(np.searchsorted(times, t_ns, "right")) - 1 + steps, 0), len(times) - 1)])

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses from one time to another."""
        times = self._rows[Pose3D].times_ns
        found = (self._read(Pose3D, n) for n in range(np.searchsorted(times, first_ns), np.searchsorted(times, last_ns, "right")))
        return [pose for pose in found if pose]

    def _last(self, kind: type[Kind], t_ns: int) -> Optional[Kind]:
        number = int(np.searchsorted(self._rows[kind].times_ns, t_ns, "right"))
        return self._read(kind, number - 1) if number else None

    def _read(self, kind: type[Kind], number: int) -> Optional[Kind]:
        message = self._held.get((kind, number))
        if message is None:
            message = self._recording.at(self._rows[kind].places[number])
            if message is not None and kind is not Frame:  # one picture is on the screen; others would only fill memory
                self._held[kind, number] = message
            if len(self._held) > HELD_MESSAGES:
                self._held.popitem(last=False)
        return message if isinstance(message, kind) else None


def _focal_px(info: Mapping[str, str]) -> Optional[float]:
    with suppress(yaml.YAMLError, KeyError, TypeError, ValueError):  # no checksum is over these settings
        return float(yaml.safe_load(info["config"])["lift"]["focal_px"])
    return None
