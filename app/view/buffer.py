"""The last 30 s of a live stream: what came, in the order of its times, and no more than so much of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Callable, Generic, Optional, TypeVar, Union

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D
from poselift.app.view.moments import Moment, Shot

KEPT_NS = 30 * 10**9
MAX_SHOT_BYTES = 96 << 20
"""Pictures are given up from the oldest on where 30 s of them are more than this."""
MAX_ENTRIES = 8192
"""Of each kind: 30 s at 270 a second."""
SKIPPED_NS = 250_000_000
"""Older keypoints than this are not drawn over a picture."""

T = TypeVar("T", bound=Union[Shot, Pose2D, Pose3D])


class _Row(Generic[T]):
    """Messages by their times."""

    def __init__(self, entries: Sequence[T] = ()) -> None:
        self.entries: list[T] = list(entries)
        self.times_ns: list[int] = [entry.t_ns for entry in entries]

    def add(self, entry: T) -> None:
        """Take one that is newer than the others, or takes the place of one of the same time; one that is late goes where it belongs."""
        place = bisect_left(self.times_ns, entry.t_ns)
        if place < len(self.times_ns) and self.times_ns[place] == entry.t_ns:
            self.entries[place] = entry
            return
        self.entries.insert(place, entry)
        self.times_ns.insert(place, entry.t_ns)

    def last(self, t_ns: int) -> Optional[T]:
        """The newest up to that time."""
        place = bisect_right(self.times_ns, t_ns)
        return self.entries[place - 1] if place else None

    def forget(self, before_ns: int, gone: Callable[[T], None] = lambda _: None) -> None:
        """Drop those from before that time, and what is too many."""
        place = max(bisect_left(self.times_ns, before_ns), len(self.entries) - MAX_ENTRIES)
        for entry in self.entries[: max(place, 0)]:
            gone(entry)
        del self.entries[: max(place, 0)], self.times_ns[: max(place, 0)]


class Buffer:
    """Fed with messages as they come; a stream whose numbers or times go back (a source that was started anew) begins anew."""

    def __init__(self) -> None:
        self.begin_anew()

    def add(self, message: Union[Shot, Pose2D, Pose3D, Health]) -> None:
        """Take what came."""
        if isinstance(message, Health):
            self._health[message.worker] = message
            return
        if self._goes_back(message):
            self._clear()
        self._last[type(message)] = message
        if isinstance(message, Shot):
            self._shots.add(message)
            self._shot_bytes += len(message.data)
        elif isinstance(message, Pose2D):
            if not isinstance(self._seen.last(message.t_ns), Pose3D) or self._seen.times_ns[-1] < message.t_ns:
                self._seen.add(message)
        else:
            self._poses.add(message)
            self._seen.add(message)
        self._forget()

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """Times of the first and the last that is kept: of poses, and of pictures where there are none."""
        times = self._poses.times_ns or self._shots.times_ns
        return (times[0], times[-1]) if times else None

    def at(self, t_ns: int) -> Moment:
        """What was at that time."""
        shot = self._shots.last(t_ns)
        overlay = self._seen.last(shot.t_ns if shot else t_ns)
        if shot and overlay and shot.t_ns - overlay.t_ns > SKIPPED_NS:
            overlay = None
        return Moment(t_ns, self._poses.last(t_ns), shot, overlay, self._health)

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose so many before or after."""
        times = self._poses.times_ns or self._shots.times_ns
        place = bisect_right(times, t_ns) - 1 + steps
        return times[min(max(place, 0), len(times) - 1)] if times else t_ns

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses from one time to another."""
        times = self._poses.times_ns
        return self._poses.entries[bisect_left(times, first_ns) : bisect_right(times, last_ns)]

    def begin_anew(self) -> None:
        """What comes now is another session's: forget all."""
        self._health: dict[str, Health] = {}
        self._clear()

    def frozen(self) -> Buffer:
        """A copy that nothing is added to: what is kept now, for as long as somebody looks at it."""
        copy = Buffer()
        copy._health = dict(self._health)
        copy._shots, copy._seen, copy._poses = _Row(self._shots.entries), _Row(self._seen.entries), _Row(self._poses.entries)
        return copy

    def _clear(self) -> None:
        self._shots: _Row[Shot] = _Row()
        self._seen: _Row[Union[Pose2D, Pose3D]] = _Row()
        self._poses: _Row[Pose3D] = _Row()
        self._shot_bytes = 0
        self._last: dict[type, Union[Shot, Pose2D, Pose3D]] = {}

    def _goes_back(self, message: Union[Shot, Pose2D, Pose3D]) -> bool:
        """Whether a message begins a stream anew. One that is earlier in number and time, and of the same sender, is only late."""
        last = self._last.get(type(message))
        if last is None:
            return False
        other = getattr(message, "incarnation", 0) != getattr(last, "incarnation", 0)
        if message.frame <= last.frame:
            return other or message.t_ns < last.t_ns - KEPT_NS
        return message.t_ns < last.t_ns

    def _forget(self) -> None:
        newest_ns = max(times[-1] for times in (self._shots.times_ns, self._seen.times_ns, self._poses.times_ns) if times)
        self._seen.forget(newest_ns - KEPT_NS)
        self._poses.forget(newest_ns - KEPT_NS)
        self._shots.forget(newest_ns - KEPT_NS, self._lost)
        while self._shot_bytes > MAX_SHOT_BYTES:
            self._lost(self._shots.entries[0])
            del self._shots.entries[0], self._shots.times_ns[0]

    def _lost(self, shot: Shot) -> None:
        self._shot_bytes -= len(shot.data)
