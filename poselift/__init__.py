"""poselift: 3D human pose, live and from files, for programs.

for poses in poselift.connect():            # live, from the pipeline on this machine: the newest, however slow this loop is
    print(poses.t_ns, poses.joints_m)       # [people, 21, 3]: metres from the hip; x right, y down, z forward

for poses in poselift.connect("192.168.1.20"):  # the same, from a board that serves viewers
    ...

result = poselift.lift("video.mp4", "out")  # a file, as fast as it goes, nothing lost
for poses in poselift.open(result.recording):   # the same, from a recording
    ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poselift.app.dataflow.messages import Pose3D as Pose3D
    from poselift.app.offline.job import Progress as Progress
    from poselift.app.offline.job import Result as Result
    from poselift.app.offline.lift import lift as lift
    from poselift.app.program.api import connect as connect
    from poselift.app.program.api import open as open
    from poselift.app.program.poses import Poses as Poses
    from poselift.common.errors import DeviceError as DeviceError
    from poselift.common.errors import UserError as UserError
    from poselift.common.skeleton import COCO_BONES as COCO_BONES
    from poselift.common.skeleton import COCO_KEYPOINTS as COCO_KEYPOINTS
    from poselift.common.skeleton import FEET as FEET
    from poselift.common.skeleton import H36M_JOINTS as H36M_JOINTS
    from poselift.common.skeleton import H36M_PARENTS as H36M_PARENTS
    from poselift.common.skeleton import JOINTS as JOINTS
    from poselift.common.skeleton import KEYPOINT_BONES as KEYPOINT_BONES
    from poselift.common.skeleton import KEYPOINTS as KEYPOINTS
    from poselift.common.skeleton import PARENTS as PARENTS

_MODULES = {
    "poselift.app.dataflow.messages": ("Pose3D",),
    "poselift.app.offline.job": ("Progress", "Result"),
    "poselift.app.offline.lift": ("lift",),
    "poselift.app.program.api": ("connect", "open"),
    "poselift.app.program.poses": ("Poses",),
    "poselift.common.errors": ("DeviceError", "UserError"),
    "poselift.common.skeleton": (
        "COCO_BONES",
        "COCO_KEYPOINTS",
        "FEET",
        "H36M_JOINTS",
        "H36M_PARENTS",
        "JOINTS",
        "KEYPOINT_BONES",
        "KEYPOINTS",
        "PARENTS",
    ),
}
"""Where the names are. They are imported when they are asked for: each worker imports `poselift`, and few need these."""

__all__ = sorted(name for names in _MODULES.values() for name in names)  # type checkers read the imports above; a test compares the two


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'poselift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
