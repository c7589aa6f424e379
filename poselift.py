"""poselift: live 3D human pose. The public face for programs.

for poses in poselift.connect():            # live, from the pipeline on this machine
    print(poses.t_ns, poses.joints_m)       # [people, 17, 3]: metres from the hip; x right, y down, z forward

for poses in poselift.open("session.mcap"): # the same, from a recording
    ...
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Optional, Union

from app import recording
from app.bus import Watch
from app.config import load
from app.errors import UserError
from app.messages import End, Pose3D
from app.process import running
from app.streams import WATCH, links
from models.skeleton import COCO_BONES, COCO_KEYPOINTS, H36M_JOINTS, H36M_PARENTS

__all__ = ["COCO_BONES", "COCO_KEYPOINTS", "H36M_JOINTS", "H36M_PARENTS", "Pose3D", "UserError", "connect", "open"]

ASK_S = 0.5


def connect(
    runtime_folder: Optional[Union[str, PathLike[str]]] = None, config: Optional[Union[str, PathLike[str]]] = None
) -> Iterator[Pose3D]:
    """The poses of the pipeline that runs on this machine, as they come, until it ends.

    It is found by its runtime folder: the default one, the one given, or that of a config file. A program that is slow misses poses; it
    never slows the pipeline. Raises UserError where none is running.
    """
    settings = load(Path(config) if config else None)
    folder = Path(runtime_folder) if runtime_folder else settings.runtime_path()
    if not running(folder, "lift"):
        raise UserError(f"no poselift is running here (runtime folder {folder}); type: poselift up SOURCE")
    return _poses(folder)


def open(path: Union[str, PathLike[str]]) -> Iterator[Pose3D]:
    """The poses of a recording, in order. Raises UserError where it is none."""
    return (message for message in recording.read(Path(path), types=[Pose3D]) if isinstance(message, Pose3D))


def _poses(folder: Path) -> Iterator[Pose3D]:
    watch = Watch(folder, tuple(link for link in links("live", ("lift",)) if link.taker == WATCH and link.message is Pose3D))
    try:
        silent = 0
        while silent < 2 or running(folder, "lift") or running(folder, "up"):  # a lifter that died is brought back
            messages = watch.receive(ASK_S)
            silent = 0 if messages else silent + 1
            for message in messages:
                if isinstance(message, End):
                    return
                if isinstance(message, Pose3D):
                    yield message
    finally:
        watch.close()
