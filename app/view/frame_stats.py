"""How many poses a second the viewer has shown over the last seconds, and how old they were."""

from __future__ import annotations

from collections import deque
from typing import Optional

import numpy as np

WINDOW_S = 5.0


class FrameStats:
    """Statistics over the last WINDOW_S."""

    def __init__(self) -> None:
        self._shown: deque[tuple[float, Optional[int]]] = deque()

    def add(self, now_s: float, age_ns: Optional[int]) -> None:
        """A new pose is on the screen; `age_ns` is its age, if known."""
        self._shown.append((now_s, age_ns))
        self._drop_old(now_s)

    def rate_hz(self, now_s: float) -> Optional[float]:
        """New poses a second; None until there are two."""
        self._drop_old(now_s)
        if len(self._shown) < 2:
            return None
        return (len(self._shown) - 1) / max(self._shown[-1][0] - self._shown[0][0], 1e-3)

    def ages_ms(self, now_s: float) -> Optional[tuple[float, float]]:
        """Median and 95th percentile of the ages; None if none is known."""
        self._drop_old(now_s)
        ages = [age for _, age in self._shown if age is not None]
        if not ages:
            return None
        median, p95 = np.percentile(np.array(ages, np.float64) / 1e6, (50, 95))
        return float(median), float(p95)

    def _drop_old(self, now_s: float) -> None:
        while self._shown and self._shown[0][0] < now_s - WINDOW_S:
            self._shown.popleft()
