"""Where people are placed in the scene: at their roots, with the distance from the camera smoothed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.common.arrays import Floats

SPACING_M = 1.0
"""Between people whose position is not known: they stand side by side."""
UNKNOWN_POSITION_M = (0.0, 0.0, 4.0)
SMOOTHING_S = 0.6
"""Time constant of the distance's average. One camera measures distance worst, and it jitters; the direction is not smoothed."""
MAX_GAP_S = 0.5
"""The average starts over for a person who was away for longer."""
CACHED_POSES = 1024


class _Placed(NamedTuple):
    pose: Pose3D
    joints: Floats
    depth_m: dict[int, float]


class Placement:
    """Places the joints of poses in the scene. It keeps the latest results, as the same poses are asked for again with each new one."""

    def __init__(self) -> None:
        self._cache: OrderedDict[int, _Placed] = OrderedDict()

    def place(self, poses: Sequence[Pose3D]) -> list[Floats]:
        """float32 [K, 17, 3] for each of these consecutive poses: the joints in the camera's axes, metres from the camera."""
        found: list[Floats] = []
        before: dict[int, float] = {}
        before_ns = 0
        for pose in poses:
            placed = self._cache.get(id(pose))
            if placed is None or placed.pose is not pose:
                seconds = (pose.t_ns - before_ns) / 1e9
                placed = _place(pose, before if 0 <= seconds <= MAX_GAP_S else {}, seconds)
                self._cache[id(pose)] = placed
            if len(self._cache) > CACHED_POSES:
                self._cache.popitem(last=False)
            before, before_ns = placed.depth_m, pose.t_ns
            found.append(placed.joints)
        return found


def _place(pose: Pose3D, before: dict[int, float], seconds: float) -> _Placed:
    roots = np.arange(len(pose.person), dtype=np.float32)[:, None] * (SPACING_M, 0, 0) + UNKNOWN_POSITION_M
    depths: dict[int, float] = {}
    for k, person in enumerate(pose.person.tolist()):
        root = pose.root_m[k]
        if np.isfinite(root).all() and root[2] > 0:
            depth = float(root[2])
            if person in before:
                depth += (before[person] - depth) * float(np.exp(-seconds / SMOOTHING_S))
            depths[person] = depth
            roots[k] = root * depth / root[2]  # along the line of sight
    return _Placed(pose, np.asarray(np.nan_to_num(pose.joints_m) + roots[:, None], np.float32), depths)
