"""The joints of everybody as they stand in the scene. The latest results are kept, as the same poses are asked for again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.placement import Place, places
from poselift.common.arrays import Floats
from poselift.common.skeleton import H36M_JOINTS

CACHED_POSES = 1024


class _Placed(NamedTuple):
    pose: Pose3D
    joints: Floats
    places: Mapping[int, Place]


class Placement:
    """Places the joints of poses in the scene. It keeps the latest results, as the same poses are asked for again with each new one."""

    def __init__(self) -> None:
        self._cache: OrderedDict[int, _Placed] = OrderedDict()

    def place(self, poses: Sequence[Pose3D]) -> list[Floats]:
        """float32 [K, 21, 3] for each of these consecutive poses: the joints in the camera's axes, metres from the camera.

        Whose joints are no numbers is at the root; feet that are not known are NaN.
        """
        found: list[Floats] = []
        before: Mapping[int, Place] = {}
        before_ns = 0
        for pose in poses:
            placed = self._cache.get(id(pose))
            if placed is None or placed.pose is not pose:
                placed = _place(pose, before, (pose.t_ns - before_ns) / 1e9)
                self._cache[id(pose)] = placed
            if len(self._cache) > CACHED_POSES:
                self._cache.popitem(last=False)
            before, before_ns = placed.places, pose.t_ns
            found.append(placed.joints)
        return found


def _place(pose: Pose3D, before: Mapping[int, Place], seconds: float) -> _Placed:
    stand = places(pose, before, seconds)
    roots = np.array([stand[person].root_m for person in pose.person.tolist()]).reshape(-1, 1, 3)
    joints_m = np.where(np.isfinite(pose.joints_m), pose.joints_m, np.nan)
    joints_m[:, : len(H36M_JOINTS)] = np.nan_to_num(pose.joints_m[:, : len(H36M_JOINTS)])
    return _Placed(pose, np.asarray(joints_m + roots, np.float32), stand)
