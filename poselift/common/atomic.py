"""Files that are there as a whole or not at all, and of one who is killed meanwhile nothing stays for long."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Callable

PREFIX = ".poselift-part-"
"""Of hidden names for what is not done yet. Whoever works on it holds its lock; where nobody does, it was left and may go."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A place to write to; it takes `path`'s name when the block ends well, on disk as a whole, and is gone when it does not.

    Until then the file has no name, so that even one who is killed leaves nothing. Where the filesystem has no such files (FAT, NFS) it has
    a hidden name beside `path`, and the next who writes into that folder removes what was left. Makes the folder; `mode` is less the
    process's umask. Raises OSError as writing does.
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_left(folder)
    try:
        descriptor, name = os.open(folder, os.O_TMPFILE | os.O_RDWR, mode), None
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
        descriptor, name = _held(folder, lambda place: os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
    part = Path(f"/proc/self/fd/{descriptor}")
    try:
        yield part
        os.fsync(descriptor)
        name = name or _named(descriptor, folder)
        name.replace(path)
    except OSError as error:
        if error.filename != str(part) and not _is_full(error):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # by the name that people know
    finally:
        if name:
            name.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have a disk that is full within the block name this file: a write does not know what it writes to."""
    try:
        yield
    except OSError as error:
        if not _is_full(error):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def at_once(path: Path) -> Iterator[BytesIO]:
    """Memory to write to, which becomes the file when the block ends well: for an archive, which needs an end wherever the disk is full.

    Makes the folder. Raises OSError as writing does.
    """
    content = BytesIO()
    yield content
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A hidden folder in `folder` for the time of the block. The next who writes there removes one of a process that was killed."""
    remove_left(folder)

    def make(place: Path) -> int:
        place.mkdir(mode=0o700)
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY)

    descriptor, place = _held(folder, make)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def remove_left(folder: Path) -> None:
    """Remove what processes that were killed left in `folder`."""
    for place in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is being worked on, is another user's, or somebody else was faster
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(place) if place.is_dir() else place.unlink()
            finally:
                os.close(descriptor)


def _is_full(error: OSError) -> bool:
    """Whether no room was left for a write that told no name."""
    return error.errno in NO_SPACE and not error.filename


def _held(folder: Path, make: Callable[[Path], int]) -> tuple[int, Path]:
    """What `make` makes under a hidden name: its descriptor, which holds its lock, and the name."""
    while True:
        place = _hidden(folder)
        descriptor = None
        try:
            descriptor = make(place)
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), place.stat()):
                return descriptor, place
        except FileNotFoundError:  # somebody took it for left before it was locked
            if not folder.is_dir():
                raise
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # where there are no locks nobody can take this for left either
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _named(descriptor: int, folder: Path) -> Path:
    """A hidden name for an unnamed file: a link cannot take the place of another file, but a name can."""
    _lock(descriptor)
    place = _hidden(folder)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{descriptor}", place.name, dst_dir_fd=at, follow_symlinks=True)  # without dst_dir_fd it would not follow
    finally:
        os.close(at)
    return place


def _hidden(folder: Path) -> Path:
    return folder / f"{PREFIX}{secrets.token_hex(8)}"
