"""Where people stand: their roots, with the distance from the camera made calm."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.common.arrays import Doubles

APART_M = 1.0
"""Between people whose place is not known."""
UNKNOWN_PLACE_M = (0.0, 0.0, 4.0)
CALM_S = 0.6
"""The distance is averaged over about this time. It is what one camera tells worst, and it trembles; the direction is as it comes."""
GAP_S = 0.5
"""Whoever was away for longer is at once where they are now."""


class Place(NamedTuple):
    """Where somebody stands."""

    root_m: Doubles
    """float64 [3]: camera axes, metres."""
    number: int = -1
    """Among those whose place is not known, who stand side by side; -1 where it is."""


def places(pose: Pose3D, before: Mapping[int, Place], seconds: float) -> dict[int, Place]:
    """Everybody's place, by id. `before` are those of the pose so many seconds before; whose place is not told any more stays there."""
    if not 0 <= seconds <= GAP_S:
        before = {}
    persons = pose.person.tolist()
    taken = {before[person].number for person in persons if person in before}
    found: dict[int, Place] = {}
    for person, root_m in zip(persons, pose.root_m.astype(np.float64)):
        last = before.get(person)
        if np.isfinite(root_m).all() and root_m[2] > 0:
            depth_m = root_m[2]
            if last is not None and last.number < 0:
                depth_m += (last.root_m[2] - depth_m) * np.exp(-seconds / CALM_S)
            found[person] = Place(root_m * depth_m / root_m[2])  # along the line of sight
        elif last is not None:
            found[person] = last
        else:
            number = next(number for number in count() if number not in taken)
            taken.add(number)
            found[person] = Place(np.add(UNKNOWN_PLACE_M, (number * APART_M, 0, 0)), number)
    return found
