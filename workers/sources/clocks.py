"""The times in a stream of pictures as the times of `Picture`: nanoseconds, always increasing."""

from __future__ import annotations

from fractions import Fraction
from typing import Optional

RESTART_NS = 10**9
"""A camera's clock that seems to be behind by more than this has begun anew, or does not tell the time."""
DRIFT_PPM = 1000
"""Two clocks part by less: a crystal is within about 100 parts per million, and NTP slews ours by up to 500."""


class MediaClock:
    """Media time of a file: 0 at the first picture, then as the container's own timestamps say, exact to the nanosecond below.

    A picture without a timestamp comes one `period_ns` after the one before. One whose timestamp does not increase does too, and moves
    all that follow: a file put together from pieces begins anew in its middle.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._origin: Optional[tuple[int, int]] = None
        self._last_ns = -period_ns

    def place(self, pts: Optional[int], time_base: Optional[Fraction]) -> int:
        """t_ns of a picture whose timestamp is `pts` units of `time_base` seconds."""
        t_ns = self._last_ns + self._period_ns
        if pts is not None and time_base is not None:
            origin_pts, origin_ns = self._origin or (pts, t_ns)
            media_ns = origin_ns + (pts - origin_pts) * time_base.numerator * 10**9 // time_base.denominator
            if media_ns > self._last_ns:
                self._origin, t_ns = (origin_pts, origin_ns), media_ns
            else:
                self._origin = pts, t_ns
        self._last_ns = t_ns
        return t_ns


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
