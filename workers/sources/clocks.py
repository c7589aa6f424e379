"""The times in a stream of pictures as the times of `CapturedPicture`: nanoseconds, always increasing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Optional

RESTART_NS = 10**9
"""A camera's clock that seems to be behind by more than this has begun anew, or does not tell the time."""
JUMP_NS = 10 * 10**9
"""A file's clock that goes on by more than this has jumped (ffmpeg's dts_delta_threshold), in formats that may..."""
OUT_OF_PROPORTION = 10
"""...and where it is more than so many times the step before: a picture an hour is none."""
BREAK_NS = 10**9
"""Between two sources of one stream: longer than people are held, so that nobody is taken for somebody of before."""
DRIFT_PPM = 1000
"""Two clocks part by less: a crystal is within about 100 parts per million, and NTP slews ours by up to 500."""


class MediaClock:
    """Media time of a file: 0 at the first picture, then as the container's own timestamps say, exact to the nanosecond below.

    A picture without a timestamp comes one `period_ns` after the one before. One whose timestamp does not increase does too, and moves
    all that follow: a file put together from pieces begins anew in its middle. So does one that comes out of proportion later, where the
    format allows such jumps (`jumps`), as broadcast's streams do; in other formats that is a pause.
    """

    def __init__(self, period_ns: int, jumps: bool = False, first: Sequence[Optional[int]] = ()) -> None:
        """`first` are the timestamps of the first pictures, which tell what step is usual before there was one."""
        self.anew = 0
        """How often the file's clock went back or jumped so far."""
        self._period_ns, self._jumps, self._first = period_ns, jumps, [pts for pts in first if pts is not None]
        self._origin: Optional[tuple[int, int]] = None
        self._last_ns = -period_ns
        self._last_pts, self._step_ns = 0, 0

    def place(self, pts: Optional[int], time_base: Optional[Fraction]) -> int:
        """t_ns of a picture whose timestamp is `pts` units of `time_base` seconds."""
        t_ns = self._last_ns + self._period_ns
        if pts is not None and time_base is not None:
            t_ns = self._timed(pts, time_base, t_ns)
        self._last_ns = t_ns
        return t_ns

    def _timed(self, pts: int, time_base: Fraction, next_ns: int) -> int:
        if self._origin is None:
            self._origin, self._last_pts = (pts, next_ns), pts
            steps = (later - sooner for sooner, later in zip(self._first, self._first[1:]) if later > sooner)
            self._step_ns = _ns(min(steps, default=0), time_base)
            return next_ns
        step_ns = _ns(pts - self._last_pts, time_base)
        media_ns = self._origin[1] + _ns(pts - self._origin[0], time_base)
        jumped = self._jumps and step_ns > max(JUMP_NS, OUT_OF_PROPORTION * max(self._period_ns, self._step_ns))
        before_ns, self._last_pts, self._step_ns = self._step_ns, pts, step_ns
        if step_ns < 0 or jumped:
            self.anew += 1
            self._step_ns = before_ns
            self._origin = pts, self._last_ns + (before_ns or self._period_ns)
            return self._origin[1]
        if media_ns > self._last_ns:
            return media_ns
        if _ns(1, time_base) <= self._period_ns:  # else there are several pictures in one unit of time
            self._origin = pts, next_ns
        return next_ns


def _ns(pts: int, time_base: Fraction) -> int:
    return pts * time_base.numerator * 10**9 // time_base.denominator


class CameraClock:
    """A network camera's own times, put onto this machine's monotonic clock.

    Why not the time of arrival: the lifter interpolates over time, and a network's jitter would be motion to it. The camera's clock has
    none, but runs a little faster or slower than ours. So the difference between the two is taken from the picture that came fastest so
    far, and let grow by DRIFT_PPM, more than two crystals part. A time is therefore never later than its arrival, and what it lacks of
    the truth is the delay of the fastest picture. After a stall of more than a second, and for a camera that counts pictures and not time,
    it begins anew.
    """

    def __init__(self) -> None:
        self._offset_ns: Optional[int] = None
        self._arrival_ns = 0
        self._last_ns = 0

    def place(self, pts_ns: Optional[int], arrival_ns: int) -> int:
        """t_ns of a picture with the camera's time `pts_ns` (None: it has none) that arrived at `arrival_ns`."""
        t_ns = arrival_ns
        if pts_ns is not None:
            offset_ns = arrival_ns - pts_ns
            if self._offset_ns is None or offset_ns - self._offset_ns > RESTART_NS:
                self._offset_ns = offset_ns
            drift_ns = (arrival_ns - self._arrival_ns) * DRIFT_PPM // 10**6
            self._offset_ns = min(self._offset_ns + drift_ns, offset_ns)
            self._arrival_ns = arrival_ns
            t_ns = pts_ns + self._offset_ns
        self._last_ns = max(t_ns, self._last_ns + 1)
        return self._last_ns


class Timeline:
    """The times of one stream out of those of its sources, one after the other: they only grow.

    `last_ns` is the stream's last time so far. Where another source `begins` whose times are not later, it is moved to BREAK_NS after that,
    and so is one that begins anew by itself, RESTART_NS or more earlier. What is earlier by less comes 1 ns after the one before.
    """

    def __init__(self, last_ns: int, begins: bool) -> None:
        self._last_ns, self._begins, self._shift_ns = last_ns, begins, 0

    def place(self, t_ns: int) -> int:
        """t_ns in the stream of a source's picture at `t_ns`."""
        back_ns = self._last_ns - t_ns - self._shift_ns
        if back_ns >= RESTART_NS or (self._begins and back_ns >= 0):
            self._shift_ns += back_ns + BREAK_NS
        self._begins = False
        self._last_ns = max(t_ns + self._shift_ns, self._last_ns + 1)
        return self._last_ns
