"""The files of keys. Files and folder must belong to the user and be closed to all others; otherwise they are refused."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from poselift.common.atomic import replacing
from poselift.common.errors import UserError

OWN, ADMITTED = "own.key", "admitted"
"""The two files in the folder of keys."""
MAX_FILE_BYTES = 1 << 20


def write(path: Path, lines: tuple[str, ...]) -> None:
    """Make or replace a file of keys; it is on disk when this returns. `lines` are ASCII."""
    with replacing(path, 0o600) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder of keys, which is made if it is missing, locked against other processes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_owner(folder, folder.stat(), "700")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read(path: Path) -> Optional[str]:
    """The content of a file of keys; None if there is none. Raises UserError if others can read or change it."""
    try:
        _check_owner(path.parent, path.parent.stat(), "700")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a link; keys are kept in the file itself" if error.errno == errno.ELOOP else error.strerror
        raise UserError(f"{path}: this file of keys cannot be read ({why})") from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path}: this should be a file of keys, and is none; remove it")
        _check_owner(path, state, "600")
        return os.read(descriptor, MAX_FILE_BYTES).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)


def _check_owner(path: Path, state: os.stat_result, mode: str) -> None:
    if state.st_uid != os.getuid():
        raise UserError(f"{path}: this belongs to {_user(state.st_uid)}, not to you; type the same command as that user")
    if state.st_mode & 0o077:
        found = f"{stat.S_IMODE(state.st_mode):o}"
        raise UserError(f"{path}: others than you can get at these keys (mode {found}); type: chmod {mode} {shlex.quote(str(path))}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
