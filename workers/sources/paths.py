"""A source that may be a path, as the user wrote it."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def path_of(source: str) -> Path:
    """The path, with `~` for the user's home."""
    return Path(os.path.expanduser(source))  # noqa: PTH111  # Path.expanduser raises where there is no such user


def mode_of(source: str) -> int:
    """What kind of file is there, for the functions of `stat`; 0 where there is none, or where this can be no path."""
    try:
        return path_of(source).stat().st_mode if source else 0
    except (OSError, ValueError):
        return 0


def is_camera(source: str) -> bool:
    """Whether `source` names a V4L2 device: an index, or a path of a device."""
    return (source.isascii() and source.isdigit()) or source.startswith(("/dev/video", "/dev/v4l/")) or stat.S_ISCHR(mode_of(source))
