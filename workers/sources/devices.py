"""The cameras of this machine by name, and why one of them cannot be had."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from poselift.common.errors import UserError


class Folders(NamedTuple):
    """Where Linux tells of devices and processes."""

    dev: Path = Path("/dev")
    names: Path = Path("/sys/class/video4linux")
    processes: Path = Path("/proc")


FOLDERS = Folders()


def title(path: Path, folders: Folders = FOLDERS) -> str:
    """The device's path with the camera's own name: `/dev/video0 (HD Webcam)`."""
    name = folders.names / path.resolve().name / "name"
    return f"{path} ({name.read_text().strip()})" if name.is_file() else str(path)


def cameras(folders: Folders = FOLDERS) -> list[str]:
    """The titles of the video devices there are."""
    return [title(path, folders) for path in sorted(folders.dev.glob("video*"), key=lambda path: (len(path.name), path.name))]


def check(path: Path, folders: Folders = FOLDERS) -> None:
    """Raise UserError where the device is not there or not ours to use."""
    if not path.exists():
        raise UserError(f"{path}: no such camera; {_there_are(folders)}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UserError(f"{path}: no permission for this camera; add yourself to its group (sudo usermod -aG video $USER) and log in again")


def is_none(path: Path, folders: Folders = FOLDERS) -> str:
    """That this device is none for video."""
    return f"{path}: is no camera; {_there_are(folders)}"


def why_not(path: Path, folders: Folders = FOLDERS) -> str:
    """Why a device that is there gives no pictures, as far as can be seen."""
    users = _users(path, folders)
    if users:
        return f"{title(path, folders)}: busy, in use by {', '.join(users[:3])}; stop that first"
    return (
        f"{title(path, folders)}: gives no pictures; it is in use by another user's program, or no camera itself "
        f"(many have a second device for other data); {_there_are(folders)}"
    )


def _there_are(folders: Folders) -> str:
    found = cameras(folders)
    return f"there are {', '.join(found)}" if found else "there is no camera on this machine: plug one in"


def _users(path: Path, folders: Folders) -> list[str]:
    """The other processes that hold the device open; those of other users cannot be seen."""
    device, users = str(path.resolve()), []
    for process in folders.processes.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.name != str(os.getpid()) and any(str(file.readlink()) == device for file in (process / "fd").iterdir()):
                users.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
    return users
