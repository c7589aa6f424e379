"""poselift: live 3D human pose. The public face for programs.

for poses in poselift.connect():            # live, from the pipeline on this machine: the newest, however slow this loop is
    print(poses.t_ns, poses.joints_m)       # [people, 17, 3]: metres from the hip; x right, y down, z forward

for poses in poselift.connect("192.168.1.20"):  # the same, from a board that serves viewers
    ...

for poses in poselift.open("session.mcap"): # the same, from a recording
    ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poselift.app.dataflow.messages import Pose3D
    from poselift.app.program.face import connect, open
    from poselift.app.program.poses import Poses
    from poselift.common.errors import UserError
    from poselift.common.skeleton import COCO_BONES, COCO_KEYPOINTS, H36M_JOINTS, H36M_PARENTS

__all__ = ["COCO_BONES", "COCO_KEYPOINTS", "H36M_JOINTS", "H36M_PARENTS", "Pose3D", "Poses", "UserError", "connect", "open"]

_MODULES = {
    "poselift.app.dataflow.messages": ("Pose3D",),
    "poselift.common.errors": ("UserError",),
    "poselift.app.program.face": ("connect", "open"),
    "poselift.app.program.poses": ("Poses",),
    "poselift.common.skeleton": ("COCO_BONES", "COCO_KEYPOINTS", "H36M_JOINTS", "H36M_PARENTS"),
}
"""Where the names are. They are imported when they are asked for: each worker imports `poselift`, and few need its face."""


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'poselift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
