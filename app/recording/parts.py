"""The files of a session on disk: which there are, which comes next, and the stream that the MCAP writer writes to."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Optional

from mcap.data_stream import RecordBuilder
from mcap.records import DataEnd, Footer
from mcap.writer import MCAP0_MAGIC

from poselift.app.dataflow.session import Session
from poselift.app.recording.part import Part
from poselift.common.atomic import NO_SPACE
from poselift.common.errors import UserError


def parts(path: Path) -> list[Path]:
    """The files at `path`, in order: it, and what is numbered after it; none where there is no recording."""
    named = re.compile(re.escape(path.stem) + r"(?:\.(\d+))?" + re.escape(path.suffix))
    found = ((int(match[1] or 0), file) for file in path.parent.glob("*") if (match := named.fullmatch(file.name)))
    return [file for _, file in sorted(found)]


def free(path: Path, now_s: float) -> Path:
    """A place beside `path` where nothing is: NAME-TIME, UTC."""
    while parts(place := path.with_name(f"{path.stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s))}{path.suffix}")):
        now_s += 1
    return place


def prepare(path: Path) -> None:
    """Remove what is recorded at `path`, and make its folder. Raises UserError where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in parts(path):
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


def create_part(base: Path, session: Optional[Session]) -> tuple[Path, PartFile]:
    """The next file of that session's recording at `base`, open and empty; where another session's is, that of a new one at a free place.

    No file that is there is touched. Returns the place too. Raises OSError.
    """
    while True:
        base = base if _is_of(base, session) else free(base, time.time())
        with suppress(FileExistsError):  # another recorder took this name in between
            return base, PartFile(_next_part(base))


def _is_of(base: Path, session: Optional[Session]) -> bool:
    """Whether what is at `base`, if anything, is of that session."""
    try:
        return all(Part(file).session == session for file in parts(base))
    except UserError:  # it cannot be read, or is no recording
        return False


def _next_part(base: Path) -> Path:
    found = parts(base)
    if not found:
        return base
    last = found[-1]
    number = 1 if last == base else int(last.stem.rpartition(".")[2])
    return base.with_name(f"{base.stem}.{number + 1}{base.suffix}")


def free_bytes(place: Path) -> int:
    """Bytes an ordinary user may still write to the disk that holds a folder or file. Raises OSError."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize
