"""What a person's pose goes through after the network, and the table of these filters."""

from __future__ import annotations

import pkgutil
from typing import Protocol

from poselift.common.arrays import Floats


class Filter(Protocol):
    """One person's filter. What it gives depends on the sequence of measurements alone: no clock, no randomness."""

    def step(self, t_ns: int, keypoints: Floats, joints_m: Floats) -> Floats:
        """The pose [21, 3] to show for `joints_m`, whose keypoints [21, 3] (x px, y px, confidence; 0: missing) were seen at `t_ns`."""


FILTERS = [
    "steady:Steady",
]
"""FILE:CLASS here, each behind the one before it."""


def new_filters() -> list[Filter]:
    """Those of a person who is new."""
    return [pkgutil.resolve_name(f"{__package__}.{named}")() for named in FILTERS]
