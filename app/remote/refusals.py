"""What is said of those who were refused: enough to see who knocks, never so much that they fill the log."""

from __future__ import annotations

WINDOW_S = 60.0
LINES = 20
"""So many are told at once within a window; the others are counted."""


class Refusals:
    """Counts refusals: of each address and reason one line at once, and one for all that followed when the window is over. Pure."""

    def __init__(self) -> None:
        self._begin_s = 0.0
        self._said: set[tuple[str, str]] = set()
        self._more: dict[str, int] = {}

    def add(self, address: str, why: str, now_s: float) -> str:
        """One more; the line to log, empty where enough was said."""
        if not self._said:
            self._begin_s = now_s
        if (address, why) not in self._said and len(self._said) < LINES:
            self._said.add((address, why))
            return f"refused {address}: {why}"
        if address not in self._more and len(self._more) >= LINES:
            address = "other addresses"
        self._more[address] = self._more.get(address, 0) + 1
        return ""

    def due(self, now_s: float) -> str:
        """The line on all that was not said, once the window is over; else, and where there is nothing to say, empty."""
        if now_s - self._begin_s < WINDOW_S:
            return ""
        more, self._more, self._said = self._more, {}, set()
        counts = ", ".join(f"{address} {count} times" for address, count in more.items())
        return f"refused further in the last minute: {counts}" if counts else ""
