"""The functions that programs call; `import poselift` offers them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Optional, Union

from poselift.app.config import load
from poselift.app.dataflow.messages import Pose3D
from poselift.app.program.board import connect_board
from poselift.app.program.pipelines import LocalPipeline, RemotePipeline, has_lifter
from poselift.app.program.poses import Poses
from poselift.app.recording.reader import Recording
from poselift.app.remote.client import Client
from poselift.common.errors import UserError

POLL_S = 0.5
WELCOME_TIMEOUT_S = 5.0
"""A board that serves answers within this time."""


def connect(
    host: Optional[str] = None,
    *,
    every: bool = False,
    wait: bool = False,
    runtime_folder: Optional[Union[str, PathLike[str]]] = None,
    config: Optional[Union[str, PathLike[str]]] = None,
) -> Poses:
    """The poses of a running pipeline: the one on this machine, or that of a board at HOST or HOST:PORT.

    The one on this machine is found by its runtime folder: the default, the one given, or that of a config file. A board has to serve
    viewers; it is read with this user's keys, or those in the folder that a config file names (`serve.keys_folder`).

    A program never slows the pipeline down. A slow program gets the newest pose each time; with `every` it gets each of the last 1000,
    oldest first. The next pose's `skipped` counts what the program missed, as `newer_pose` or with `every` as `queue_full`, beside the
    frames that got no pose.

    The loop ends when the pipeline ends. It waits while a worker is restarted or a connection is down. It raises UserError if the pipeline
    has been gone for 10 s without ending, has failed, or was started anew. With `wait` it waits instead of ending or raising: for the
    first pipeline, and for the next one after each end. Close the result with `close()` or `with`; it closes itself when it is garbage.

    Raises UserError if no pipeline is running or the board does not answer (without `wait`), and if the board refuses us.
    """
    settings = load(Path(config) if config else None)
    if host is not None:
        client = connect_board(host, settings)
        if not wait:
            _await_welcome(client)
        return Poses(RemotePipeline(client, host), every, wait)
    folder = Path(runtime_folder) if runtime_folder else settings.runtime_path()
    if not (wait or has_lifter(folder)):
        raise UserError(f"no poselift is running here (runtime folder {folder}); type: poselift up SOURCE")
    return Poses(LocalPipeline(folder), every, wait)


def open(path: Union[str, PathLike[str]]) -> Iterator[Pose3D]:
    """The poses of a recording, in order; a warning tells what in it is damaged. Raises UserError if it is no recording."""
    return _recorded(Recording(Path(path)))


def _recorded(recording: Recording) -> Iterator[Pose3D]:
    yield from recording.of(Pose3D)
    for note in recording.notes:
        warnings.warn(note, stacklevel=2)


def _await_welcome(client: Client) -> None:
    until_s = time.monotonic() + WELCOME_TIMEOUT_S
    while client.welcome is None:
        client.receive(POLL_S)
        if client.welcome is None and (client.state.refused or time.monotonic() > until_s):
            why = client.state.why
            client.close()
            raise UserError(why)
