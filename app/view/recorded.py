"""A recording to go through: the file is indexed once, and each message is read when it is looked at."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional, TypeVar

import yaml

from app.dataflow.messages import Frame, Message, MessageError, Pose2D, Pose3D, decode
from app.errors import UserError
from app.recording.reader import info
from app.view.buffer import SKIPPED_NS
from app.view.moments import Moment, Shot
from app.view.positions import Position, files, positions

HELD_MESSAGES = 512
"""So many that were looked at stay decoded."""

Kind = TypeVar("Kind", Frame, Pose2D, Pose3D)


class _Row(NamedTuple):
    """The messages of one type, by their times."""

    times_ns: list[int]
    places: list[tuple[mmap.mmap, Position]]


class Recorded:
    """The recording at `path`, all its parts. Raises UserError where it is none or holds nothing to look at."""

    def __init__(self, path: Path) -> None:
        found: dict[str, list[tuple[mmap.mmap, Position]]] = {kind.__name__: [] for kind in (Frame, Pose2D, Pose3D)}
        for file in files(path):
            for position in positions(file, path):
                if position.topic in found:
                    found[position.topic].append((file, position))
        for places in found.values():
            places.sort(key=lambda place: place[1].t_ns)
        self._rows = {name: _Row([position.t_ns for _, position in places], places) for name, places in found.items()}
        self._held: OrderedDict[tuple[mmap.mmap, int], Message] = OrderedDict()
        if self.span_ns is None:
            raise UserError(f"{path}: nothing to look at in this recording: it holds no pose and no picture")
        self.focal_px = _focal_px(path)
        """The focal length that was set, px; None where none was."""

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """Times of the first and the last picture or pose."""
        rows = [row.times_ns for row in self._rows.values() if row.times_ns]
        return (min(times[0] for times in rows), max(times[-1] for times in rows)) if rows else None

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
        times = next(row.times_ns for row in (self._rows[kind.__name__] for kind in (Pose3D, Pose2D, Frame)) if row.times_ns)
        return times[min(max(bisect_right(times, t_ns) - 1 + steps, 0), len(times) - 1)]

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses from one time to another."""
        times, places = self._rows[Pose3D.__name__]
        found = (self._read(Pose3D, *place) for place in places[bisect_left(times, first_ns) : bisect_right(times, last_ns)])
        return [pose for pose in found if pose]

    def _last(self, kind: type[Kind], t_ns: int) -> Optional[Kind]:
        times, places = self._rows[kind.__name__]
        place = bisect_right(times, t_ns)
        return self._read(kind, *places[place - 1]) if place else None

    def _read(self, kind: type[Kind], file: mmap.mmap, position: Position) -> Optional[Kind]:
        key = file, position.offset
        message = self._held.get(key)
        if message is None:
            try:
                message = decode(file[position.offset : position.offset + position.length])
            except MessageError:
                return None
            if kind is not Frame:  # one picture is on the screen; others would only fill memory
                self._held[key] = message
            if len(self._held) > HELD_MESSAGES:
                self._held.popitem(last=False)
        return message if isinstance(message, kind) else None


def _focal_px(path: Path) -> Optional[float]:
    config = yaml.safe_load(info(path).get("config", "")) or {}
    focal_px = config.get("lift", {}).get("focal_px")
    return float(focal_px) if focal_px else None
