"""The files of a session on disk: which there are, which comes next, and the stream that the MCAP writer writes to."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.records import DataEnd, Footer
from mcap.writer import MCAP0_MAGIC

from app.errors import UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def parts(path: Path) -> list[Path]:
    """The files of the session at `path`, in order; none where there is no session."""
    numbered = re.compile(re.escape(path.stem) + r"\.(\d+)" + re.escape(path.suffix))
    later = ((int(match[1]), file) for file in path.parent.glob("*") if (match := numbered.fullmatch(file.name)))
    return [*([path] if path.exists() else []), *(file for _, file in sorted(later))]


def prepare(path: Path, *, overwrite: bool) -> None:
    """Make way for a new session at `path`, its folder included.

    Raises UserError where one is there already and `overwrite` is false, or where the folder cannot be had; with `overwrite` every part
    of the old one is removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = parts(path)
        if found and not overwrite:
            raise UserError(f"{found[0]}: a recording is there already; name another folder, or move it away")
        for part in found:
            part.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot record there ({error.strerror})") from None


class PartFile:
    """The stream below the MCAP writer: unbuffered, and never left with part of a write at its end."""

    def __init__(self, path: Path) -> None:
        self.path, self.size_bytes = path, 0
        self._file = path.open("xb", buffering=0)

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """All of `data`, or on OSError none of it."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self.size_bytes)
            self._file.seek(self.size_bytes)
            raise
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size_bytes

    def flush(self) -> None:
        """Nothing: no write waits here."""

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def end(self) -> None:
        """Close with the shortest end a log may have; on a disk without room even for that, with none."""
        last = RecordBuilder()
        DataEnd(0).write(last)
        Footer(summary_start=0, summary_offset_start=0, summary_crc=0).write(last)
        try:
            self.write(last.end() + MCAP0_MAGIC)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
        finally:
            self.close()


def create_part(base: Path) -> PartFile:
    """The next file of the session at `base`, open and empty; one that is there is never touched. Raises OSError."""
    while True:
        try:
            return PartFile(_next_part(base))
        except FileExistsError:  # another recorder took this number in between
            continue


def _next_part(base: Path) -> Path:
    found = parts(base)
    if not found:
        return base
    last = found[-1]
    number = 1 if last == base else int(last.stem.rpartition(".")[2])
    return base.with_name(f"{base.stem}.{number + 1}{base.suffix}")


def free_bytes(folder: Path) -> int:
    """Bytes an ordinary user may still write to the disk that holds `folder`."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
