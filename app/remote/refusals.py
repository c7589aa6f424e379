"""What is said of those who were refused: enough to see who knocks, never so much that they fill the log."""

from __future__ import annotations

WINDOW_S = 60.0
ADDRESSES = 20
"""So many addresses are told apart within a window; the others are counted together."""


class Refusals:
    """Counts refusals; of each address one line at once, and one line for all that followed when the window is over. Pure."""

    def __init__(self) -> None:
        self._begin_s = 0.0
        self._more: dict[str, int] = {}
        self._others = 0

    def add(self, address: str, why: str, now_s: float) -> str:
        """One more; the line to log, empty where enough was said."""
        if not self._more and not self._others:
            self._begin_s = now_s
        if address in self._more:
            self._more[address] += 1
        elif len(self._more) < ADDRESSES:
            self._more[address] = 0
            return f"refused {address}: {why}"
        else:
            self._others += 1
        return ""

    def due(self, now_s: float) -> str:
        """The line on all that was not said, once the window is over; else, and where there is nothing to say, empty."""
        if now_s - self._begin_s < WINDOW_S:
            return ""
        counts = [f"{address} {count} times" for address, count in self._more.items() if count]
        if self._others:
            counts.append(f"other addresses {self._others} times")
        self._more, self._others = {}, 0
        return f"refused further in the last minute: {', '.join(counts)}" if counts else ""
