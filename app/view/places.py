"""Where people stand: their roots, with the distance from the camera made calm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.common.arrays import Floats

APART_M = 1.0
"""Between people whose place is not known."""
UNKNOWN_PLACE_M = (0.0, 0.0, 4.0)
CALM_S = 0.6
"""The distance is averaged over about this time. It is what one camera tells worst, and it trembles; the direction is as it comes."""
GAP_S = 0.5
"""Whoever was away for longer is at once where they are now."""
KEPT = 1024


class _Placed(NamedTuple):
    pose: Pose3D
    joints: Floats
    depth_m: dict[int, float]


class Places:
    """The joints of poses as they stand in the scene, camera axes, metres."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Placed] = OrderedDict()

    def of(self, poses: Sequence[Pose3D]) -> list[Floats]:
        """float32 [K, 17, 3] for each of these poses, which follow each other."""
        found: list[Floats] = []
        before: dict[int, float] = {}
        before_ns = 0
        for pose in poses:
            placed = self._known.get(id(pose))
            if placed is None or placed.pose is not pose:
                seconds = (pose.t_ns - before_ns) / 1e9
                placed = _place(pose, before if 0 <= seconds <= GAP_S else {}, seconds)
                self._known[id(pose)] = placed
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            before, before_ns = placed.depth_m, pose.t_ns
            found.append(placed.joints)
        return found


def _place(pose: Pose3D, before: dict[int, float], seconds: float) -> _Placed:
    roots = np.arange(len(pose.person), dtype=np.float32)[:, None] * (APART_M, 0, 0) + UNKNOWN_PLACE_M
    depths: dict[int, float] = {}
    for k, person in enumerate(pose.person.tolist()):
        root = pose.root_m[k]
        if np.isfinite(root).all() and root[2] > 0:
            depth = float(root[2])
            if person in before:
                depth += (before[person] - depth) * float(np.exp(-seconds / CALM_S))
            depths[person] = depth
            roots[k] = root * depth / root[2]  # along the line of sight
    return _Placed(pose, np.asarray(np.nan_to_num(pose.joints_m) + roots[:, None], np.float32), depths)
