"""What programs call: poses live and from recordings. `import poselift` gives these."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Optional, Union

from poselift.app.config import load
from poselift.app.dataflow.messages import Pose3D
from poselift.app.program.poses import Poses
from poselift.app.program.reach import reach
from poselift.app.program.sources import Board, Here, lifts
from poselift.app.recording.reader import Recording
from poselift.app.remote.client import Remote
from poselift.common.errors import UserError

ASK_S = 0.5
ANSWER_S = 5.0
"""A board that serves answers within this time."""


def connect(
    host: Optional[str] = None,
    *,
    every: bool = False,
    wait: bool = False,
    runtime_folder: Optional[Union[str, PathLike[str]]] = None,
    config: Optional[Union[str, PathLike[str]]] = None,
) -> Poses:
    """The poses of a running pipeline, as they come: of the one on this machine, or of a board's at HOST or HOST:PORT.

    This machine's is found by its runtime folder: the default one, the one given, or that of a config file; a board's has to serve viewers,
    and what it sends is read with this user's keys, or those that a config file names (`serve.keys_folder`).

    A program never slows the pipeline. One that is slow is given the newest pose each time; with `every`, each of the last 1000, oldest
    first. What it was not given, or the network did not carry, is counted in the next pose's `skipped`, beside the frames that got no pose:
    as `newer_pose`, with `every` as `queue_full`.

    The loop ends when the pipeline ends. A worker that died, or a connection that broke, is waited for; where the pipeline is gone for 10 s
    without having ended, has broken off, or has begun anew, the loop raises UserError. With `wait` it does neither: it waits for as long as
    it takes, for the first pipeline as for the next, and goes on. What is returned can be closed (`close()`, `with`); let go, it closes
    itself.

    Raises UserError where none is running or a board does not answer (neither with `wait`), and where a board does not let us in.
    """
    settings = load(Path(config) if config else None)
    if host is not None:
        board = reach(host, settings)
        if not wait:
            _await_welcome(board)
        return Poses(Board(board, host), every, wait)
    folder = Path(runtime_folder) if runtime_folder else settings.runtime_path()
    if not (wait or lifts(folder)):
        raise UserError(f"no poselift is running here (runtime folder {folder}); type: poselift up SOURCE")
    return Poses(Here(folder), every, wait)


def open(path: Union[str, PathLike[str]]) -> Iterator[Pose3D]:
    """The poses of a recording, in order; a warning tells of what in it is damaged. Raises UserError where it is none."""
    return _recorded(Recording(Path(path)))


def _recorded(recording: Recording) -> Iterator[Pose3D]:
    yield from recording.of(Pose3D)
    for note in recording.notes:
        warnings.warn(note, stacklevel=2)


def _await_welcome(board: Remote) -> None:
    until_s = time.monotonic() + ANSWER_S
    while board.welcome is None:
        board.receive(ASK_S)
        if board.welcome is None and (board.link.refused or time.monotonic() > until_s):
            why = board.link.why
            board.close()
            raise UserError(why)
