"""The figures of the head-up line, over the last seconds: how many poses a second, how old they are when they are seen."""

from __future__ import annotations

from collections import deque
from typing import Optional

import numpy as np

OVER_S = 5.0


class Figures:
    """Told of every new pose that is drawn."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Optional[int]]] = deque()

    def shown(self, now_s: float, age_ns: Optional[int]) -> None:
        """A new pose is on the screen; its age, where it is known."""
        self._seen.append((now_s, age_ns))
        self._forget(now_s)

    def rate_hz(self, now_s: float) -> Optional[float]:
        """New poses a second; None before there are two."""
        self._forget(now_s)
        if len(self._seen) < 2:
            return None
        return (len(self._seen) - 1) / max(self._seen[-1][0] - self._seen[0][0], 1e-3)

    def ages_ms(self, now_s: float) -> Optional[tuple[float, float]]:
        """Median and 95th percentile; None where no age is known."""
        self._forget(now_s)
        ages = [age for _, age in self._seen if age is not None]
        if not ages:
            return None
        middle, most = np.percentile(np.array(ages, np.float64) / 1e6, (50, 95))
        return float(middle), float(most)

    def _forget(self, now_s: float) -> None:
        while self._seen and self._seen[0][0] < now_s - OVER_S:
            self._seen.popleft()
