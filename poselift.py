"""poselift: live 3D human pose. The public face for programs.

for poses in poselift.connect():            # live, from the pipeline on this machine
    print(poses.t_ns, poses.joints_m)       # [people, 17, 3]: metres from the hip; x right, y down, z forward

for poses in poselift.connect("192.168.1.20"):  # the same, from a board that serves viewers
    ...

for poses in poselift.open("session.mcap"): # the same, from a recording
    ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Optional, Union

from app.config import load
from app.dataflow.messages import End, Pose3D
from app.dataflow.outside import Watch
from app.dataflow.streams import WATCH, links
from app.errors import UserError
from app.processes.process import running
from app.recording.reader import read
from app.remote.client import Remote, remote
from models.skeleton import COCO_BONES, COCO_KEYPOINTS, H36M_JOINTS, H36M_PARENTS

__all__ = ["COCO_BONES", "COCO_KEYPOINTS", "H36M_JOINTS", "H36M_PARENTS", "Pose3D", "UserError", "connect", "open"]

ASK_S = 0.5
ANSWER_S = 5.0
"""A board that serves answers within this time."""


def connect(
    host: Optional[str] = None,
    *,
    runtime_folder: Optional[Union[str, PathLike[str]]] = None,
    config: Optional[Union[str, PathLike[str]]] = None,
) -> Iterator[Pose3D]:
    """The poses of a running pipeline, as they come, until it ends: of the one on this machine, or of a board's at HOST or HOST:PORT.

    This machine's is found by its runtime folder: the default one, the one given, or that of a config file; a board's has to serve viewers,
    and what it sends is read with this user's keys, or those that a config file names (`serve.keys_folder`). A program that is slow misses
    poses; it never slows the pipeline. A board that goes away is waited for.
    Raises UserError where none is running, and where a board does not answer or does not let us in.
    """
    settings = load(Path(config) if config else None)
    if host is not None:
        return _remote_poses(_connected(host, settings.serve.keys_folder))
    folder = Path(runtime_folder) if runtime_folder else settings.runtime_path()
    if not running(folder, "lift"):
        raise UserError(f"no poselift is running here (runtime folder {folder}); type: poselift up SOURCE")
    return _poses(folder)


def open(path: Union[str, PathLike[str]]) -> Iterator[Pose3D]:
    """The poses of a recording, in order. Raises UserError where it is none."""
    return (message for message in read(Path(path), types=[Pose3D]) if isinstance(message, Pose3D))


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


def _connected(host: str, keys_folder: Optional[str]) -> Remote:
    board = remote(host, keys_folder)
    until_s = time.monotonic() + ANSWER_S
    while board.welcome is None:
        board.receive(ASK_S)
        if board.welcome is None and (board.link.refused or time.monotonic() > until_s):
            why = board.link.why
            board.close()
            raise UserError(why)
    return board


def _remote_poses(board: Remote) -> Iterator[Pose3D]:
    try:
        while True:
            for message in board.receive(ASK_S):
                if isinstance(message, End):
                    return
                if isinstance(message, Pose3D):
                    yield message
            if board.link.refused:
                raise UserError(board.link.why)
    finally:
        board.close()
