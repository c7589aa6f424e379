"""Which of the frames that come are shown, where not all are. No clock."""

from __future__ import annotations

EARLY_NS = 12_000_000
"""A frame that comes so much too soon is taken: the next one, of 30 a second, would be later than this one is early."""


class Cadence:
    """Takes a frame an interval, in step, though frames come a little sooner and later than they should."""

    def __init__(self, interval_ns: float) -> None:
        self._interval_ns, self._due_ns = interval_ns, 0.0

    def takes(self, now_ns: int) -> bool:
        """Whether the frame that has come now is taken."""
        soonest_ns = now_ns + EARLY_NS
        if self._due_ns > soonest_ns:
            return False
        in_step_ns = self._due_ns + self._interval_ns
        self._due_ns = in_step_ns if in_step_ns > soonest_ns else now_ns + self._interval_ns
        return True
