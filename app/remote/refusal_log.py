"""The log of refused connections and messages: it shows who knocks, and cannot be flooded."""

from __future__ import annotations

PERIOD_S = 60.0
MAX_LINES = 20
"""So many refusals are logged one by one in a period; the others are counted."""


class RefusalLog:
    """Logs the first refusal of each address and reason at once, and one line with the number of the others at the end of the period."""

    def __init__(self) -> None:
        self._begin_s = 0.0
        self._logged: set[tuple[str, str]] = set()
        self._more: dict[str, int] = {}

    def add(self, address: str, why: str, now_s: float) -> str:
        """Another refusal: the line to log; empty if enough was logged."""
        if not self._logged:
            self._begin_s = now_s
        if (address, why) not in self._logged and len(self._logged) < MAX_LINES:
            self._logged.add((address, why))
            return f"refused {address}: {why}"
        if address not in self._more and len(self._more) >= MAX_LINES:
            address = "other addresses"
        self._more[address] = self._more.get(address, 0) + 1
        return ""

    def due(self, now_s: float) -> str:
        """The line on the refusals that were only counted, when the period is over; else empty."""
        if now_s - self._begin_s < PERIOD_S:
            return ""
        more, self._more, self._logged = self._more, {}, set()
        counts = ", ".join(f"{address} {count} times" for address, count in more.items())
        return f"refused further in the last minute: {counts}" if counts else ""
