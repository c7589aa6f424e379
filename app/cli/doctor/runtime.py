"""The folder through which the workers reach each other, and who is in it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from poselift.app.cli.doctor.finding import Finding, trouble
from poselift.app.cli.units import RUNTIME_FOLDER
from poselift.app.config import Config
from poselift.app.dataflow.sockets import MAX_PATH, stream_name
from poselift.app.dataflow.streams import WORKERS, links
from poselift.app.processes.process import make_folder, running
from poselift.common.errors import UserError

RING_BYTES = 8 * 1920 * 1080 * 3
"""Shared memory that 1080p pictures take."""


def look(config: Config) -> Iterator[Finding]:
    """Whether the folder can be made, holds sockets, and has room; then what runs."""
    folder = config.runtime_path()
    if folder == RUNTIME_FOLDER:
        yield _services(folder)
        return
    try:
        free = shutil.disk_usage(make_folder(config)).free
        names = (stream_name(link.sender, link.message, link.taker) for link in links(config.mode, config.running))
        _bind(folder, max(map(len, names)))
    except UserError as error:
        yield trouble("runtime folder", error)
        return
    except OSError as error:
        remedy = "set runtime_folder to a short path on a local disk"
        yield Finding("runtime folder", f"{folder} holds no sockets ({error.strerror or error})", False, remedy)
        return
    roomy = free > RING_BYTES
    remedy = "" if roomy else f"set runtime_folder to a folder with {RING_BYTES / 1e6:.0f} MB free"
    yield Finding("runtime folder", f"{folder}, {free / 1e6:.0f} MB free", roomy, remedy)
    yield Finding("running now", _here(folder), True)


def _services(folder: Path) -> Finding:
    """Of the system's services: systemd makes it, and whoever made it before would keep them from it."""
    try:
        found = f"the services', running now: {_here(folder)}" if folder.is_dir() else "systemd makes it when the services start"
    except PermissionError:
        remedy = f"to see what runs: sudo usermod -aG poselift {os.environ.get('USER', '$USER')}, and log in again"
        return Finding("runtime folder", f"{folder}: the services'", True, remedy)
    return Finding("runtime folder", f"{folder}: {found}", True)


def _here(folder: Path) -> str:
    return ", ".join(worker for worker in WORKERS if running(folder, worker)) or "nothing"


def _bind(folder: Path, length: int) -> None:
    """Make a socket with a name of `length` there, and remove it. Raises OSError."""
    path = folder / f"doctor{os.getpid()}".ljust(length, "-")
    if len(os.fsencode(path)) > MAX_PATH:
        raise OSError(errno.ENAMETOOLONG, "its path is too long")
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as end:
            end.bind(str(path))
    finally:
        path.unlink(missing_ok=True)
