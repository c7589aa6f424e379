"""Reading a recording: every whole message, in the order written, also from a log that was cut anywhere."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Callable, NamedTuple, Optional

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Header, Metadata
from mcap.stream_reader import CRCValidationError, get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from app.dataflow.messages import Message, MessageError, decode
from app.errors import UserError
from app.recording.parts import parts

PROFILE = "poselift"

_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")

Note = Callable[[str], None]


class Entry(NamedTuple):
    """One message as it lies in the log."""

    topic: str
    """Its type's name."""
    log_time_ns: int
    """Wall time at which it was recorded."""
    publish_time_ns: int
    """`t_ns` of a message that has one, else `log_time_ns`."""
    data: bytes


def read(path: Path, types: Optional[Sequence[type[Message]]] = None, note: Optional[Note] = None) -> Iterator[Message]:
    """The session's messages, or those of some types, in the order written. Holds one chunk (a few MB) in memory.

    `note` is called with a line for people where a part was not closed or is damaged. Raises UserError where `path` is no recording, or
    one of a newer poselift.
    """
    return _decoded(path, entries(path, types, note))


def entries(path: Path, types: Optional[Sequence[type[Message]]] = None, note: Optional[Note] = None) -> Iterator[Entry]:
    """The same as `read`, with times and without decoding."""
    wanted = None if types is None else {kind.__name__ for kind in types}
    return (entry for part in _existing(path) for entry in _part(part, wanted, note or _ignore))


def info(path: Path) -> dict[str, str]:
    """What the recorder wrote about itself: versions, names, settings; empty where the file ends before that. Raises UserError."""
    with _existing(path)[0].open("rb") as file:
        for opcode, body, whole in _records(file, path):
            if opcode == Opcode.METADATA and whole:
                return dict(Metadata.read(_stream(body)).metadata)
    return {}


def _ignore(line: str) -> None:
    pass


def _existing(path: Path) -> list[Path]:
    found = parts(path)
    if not found or not all(part.is_file() for part in found):
        raise UserError(f"{path}: no such recording")
    return found


def _decoded(path: Path, found: Iterator[Entry]) -> Iterator[Message]:
    try:
        for entry in found:
            yield decode(entry.data)
    except MessageError as error:
        raise UserError(f"{path}: {error}") from None


def _stream(body: Any) -> Any:
    return ReadDataStream(BytesIO(body))


def _part(path: Path, wanted: Optional[set[str]], note: Note) -> Iterator[Entry]:
    channels: dict[int, str] = {}
    closed = False
    damaged = 0
    with path.open("rb") as file:
        for opcode, body, whole in _records(file, path):
            if opcode == Opcode.DATA_END:
                closed = whole
                break
            if opcode != Opcode.CHUNK:
                continue
            inside = _unpacked(body, whole)
            damaged += inside is None and whole
            for kind, record in _whole_records(inside or memoryview(b"")):
                if kind == Opcode.CHANNEL:
                    channel = Channel.read(_stream(record))
                    channels[channel.id] = channel.topic
                elif kind == Opcode.MESSAGE:
                    number, _, log_time_ns, publish_time_ns = _MESSAGE.unpack_from(record)
                    data = record[_MESSAGE.size :]
                    # The chunk that names the channels may be a damaged one.
                    topic = channels.get(number) or type(decode(bytes(data))).__name__
                    if wanted is None or topic in wanted:
                        yield Entry(topic, log_time_ns, publish_time_ns, bytes(data))
    if damaged:
        note(f"{path}: {damaged} damaged pieces of this recording were left out")
    if not closed:
        note(f"{path}: this recording was not closed; it was read up to its last whole message")


def _records(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Opcode, content and whether all of it is there, for every record. Raises UserError where this is no log of ours."""
    start = file.read(len(MCAP0_MAGIC))
    if not MCAP0_MAGIC.startswith(start):
        raise UserError(f"{path}: not a recording (no MCAP file)")
    size_bytes = path.stat().st_size
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        opcode, length = _RECORD.unpack(head)
        if opcode == 0:  # a lost power supply can leave zeros at the end
            return
        body = file.read(min(length, size_bytes))
        whole = len(body) == length
        if opcode == Opcode.HEADER and whole and (profile := Header.read(_stream(body)).profile) != PROFILE:
            raise UserError(f"{path}: an MCAP file, but not a recording of poselift (profile {profile!r})")
        yield opcode, body, whole
        if not whole:
            return


def _unpacked(body: bytes, whole: bool) -> Optional[memoryview]:
    """The records of a chunk, the last of which may be cut where the chunk is; None where they are not what was written."""
    try:
        chunk = Chunk.read(_stream(body))
        if whole:
            data, length = get_chunk_data_stream(chunk, validate_crc=True)
            return memoryview(data.read(length))
        return None if chunk.compression else memoryview(chunk.data)
    except (struct.error, UnicodeDecodeError, CRCValidationError, EndOfFile):
        return None


def _whole_records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + _RECORD.size <= len(data):
        opcode, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            return
        yield opcode, data[at : at + length]
        at += length
