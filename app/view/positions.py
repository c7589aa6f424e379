"""Where each message of a recording lies in its files: an index that reads no picture, also of a log that was cut anywhere."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC

from app.errors import UserError
from app.recording.parts import parts
from app.recording.reader import info

# The MCAP format's records, https://mcap.dev/spec: opcode and length; a chunk's fixed fields and its compression's length; a message's.
_RECORD, _CHUNK, _MESSAGE = struct.Struct("<BQ"), struct.Struct("<QQQII"), struct.Struct("<HIQQ")
_CHANNEL, _LENGTH = struct.Struct("<HHI"), struct.Struct("<Q")


class Position(NamedTuple):
    """One message."""

    topic: str
    """Its type's name."""
    t_ns: int
    """Its own `t_ns`, or, where it has none, when it was recorded."""
    offset: int
    """Of its MessagePack map in the file, bytes."""
    length: int


def files(path: Path) -> list[mmap.mmap]:
    """The parts of the recording at `path`, in order. Raises UserError where it is none, or one of a newer poselift."""
    info(path)
    found = []
    for part in parts(path):
        if part.stat().st_size:  # what is empty cannot be mapped
            with part.open("rb") as file:
                found.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return found


def positions(file: mmap.mmap, path: Path) -> Iterator[Position]:
    """Every whole message of one part. Raises UserError where another tool has compressed it."""
    topics: dict[int, str] = {}
    for opcode, begin, end in _records(file, len(MCAP0_MAGIC), len(file)):
        if opcode == Opcode.DATA_END:
            return
        if opcode != Opcode.CHUNK or end - begin < _CHUNK.size + _LENGTH.size:
            continue
        compression = _CHUNK.unpack_from(file, begin)[-1]
        if compression:
            raise UserError(f"{path}: its pieces are compressed, as poselift does not write them; decompress it with the mcap tool")
        for kind, at, until in _records(file, begin + _CHUNK.size + _LENGTH.size, min(end, len(file))):
            if until > len(file):
                return
            if kind == Opcode.CHANNEL:
                number, _, length = _CHANNEL.unpack_from(file, at)
                topics[number] = file[at + _CHANNEL.size : at + _CHANNEL.size + length].decode(errors="replace")
            elif kind == Opcode.MESSAGE:
                number, _, _, t_ns = _MESSAGE.unpack_from(file, at)
                yield Position(topics.get(number, ""), t_ns, at + _MESSAGE.size, until - at - _MESSAGE.size)


def _records(file: mmap.mmap, at: int, until: int) -> Iterator[tuple[int, int, int]]:
    """Opcode, begin and end of each record's content; the last one may end behind the file."""
    while at + _RECORD.size <= until:
        opcode, length = _RECORD.unpack_from(file, at)
        at += _RECORD.size
        if opcode == 0:  # a lost power supply can leave zeros at the end
            return
        yield opcode, at, at + length
        at += length
