"""One file of a recording, however it ended: which of its messages are whole, and where. Nothing else walks MCAP's records."""

from __future__ import annotations

import os
import re
import stat
import struct
import weakref
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Header, Metadata
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from poselift.app.dataflow.messages import TYPES, MessageError, decode
from poselift.app.dataflow.session import Session
from poselift.common.errors import UserError

PROFILE = "poselift"
TOPICS = {name: number for number, name in enumerate(TYPES)}
UNKNOWN = len(TOPICS)
PLACE = np.dtype([("topic", np.uint8), ("t_ns", np.int64), ("offset", np.int64), ("length", np.int64)])
"""Where a message is. `topic`: its type's number in TOPICS, or UNKNOWN. `t_ns`: its own, or, where it has none, when it was recorded.
`offset` and `length` of its bytes in its piece."""

# The MCAP format, https://mcap.dev/spec: a record's opcode and length; a chunk's fixed fields, the last of them the length of its
# compression's name, which follows, and then the length of its records; a message's fields before its data.
_RECORD, _CHUNK, _LENGTH, _MESSAGE = struct.Struct("<BQ"), struct.Struct("<QQQII"), struct.Struct("<Q"), struct.Struct("<HIQQ")
_CHUNK_HEAD = struct.Struct("<QQQIIQ")
_CHUNK_BEGINS = re.compile(rb"(?=\x06.{4}\0{4}.{20}\0{4}.{4}\0{4}.{4}\0{4})", re.DOTALL)
"""A chunk that is not compressed and below 4 GB, as ours are."""
_SEARCHED_BYTES = 1 << 20
_MALFORMED = (struct.error, UnicodeDecodeError, EndOfFile)
_LATEST_NS = 2**63 - 1

Content = Union[bytes, memoryview]


class Piece(NamedTuple):
    """Messages that were written together, under one checksum: a chunk."""

    at: int
    """Where its content begins in the file, bytes."""
    length: int
    whole: bool
    """Whether all of it is there, and so as it was written."""
    places: npt.NDArray[Any]
    """PLACE [N], in the order written."""


class Part:
    """Raises UserError where the file cannot be read, or is no recording of poselift."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info: dict[str, str] = {}
        """What the recorder wrote about itself: versions, names, settings; empty where the file ends before that."""
        self._damaged, self._damaged_bytes, self._closed = 0, 0, False
        self._topics: dict[int, int] = {}
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would make us wait
        except OSError as error:
            raise UserError(f"{path}: this recording cannot be read ({error.strerror})") from None
        weakref.finalize(self, os.close, self._file)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise UserError(f"{path}: not a recording (no file)")
        if not MCAP0_MAGIC.startswith(self._read(0, len(MCAP0_MAGIC))):
            raise UserError(f"{path}: not a recording (no MCAP file)")
        with suppress(*_MALFORMED):
            self._introduce()

    @property
    def session(self) -> Optional[Session]:
        """The session it is of; None where it does not tell."""
        return Session.of(self.info)

    def pieces(self) -> Iterator[tuple[Piece, Content]]:
        """Every piece that is as it was written, with its content, and of a last one that was cut what is there.

        What is damaged is passed over, up to the next piece that is not.
        """
        self._damaged, self._damaged_bytes, self._closed = 0, 0, False
        at = sure = len(MCAP0_MAGIC)  # `sure`: the end of the last piece that is as it was written
        while True:
            opcode, begin, length, whole = self._head(at)
            if (opcode, length) in ((Opcode.DATA_END, 4), (Opcode.FOOTER, 20)):
                self._closed = whole
                return
            content = self._content(begin, length, whole) if opcode == Opcode.CHUNK else None
            if whole and opcode and (content is not None or opcode != Opcode.CHUNK):
                at = begin + length
                if content is not None:
                    sure = at
                    yield Piece(begin, length, whole, self._places(content)), content
                continue
            after = self._next_chunk(sure)
            if after is None and not (whole and opcode):
                if content is not None:
                    yield Piece(begin, length, whole, self._places(content)), content
                return
            at = begin + length if after is None else after
            self._damaged, self._damaged_bytes, sure = self._damaged + 1, self._damaged_bytes + at - sure, at

    def content(self, piece: Piece) -> Optional[Content]:
        """A piece's content once more; None where it is no longer what it was."""
        return self._content(piece.at, piece.length, piece.whole)

    def notes(self) -> Iterator[str]:
        """What people should know about this file, in lines, when `pieces` has come to its end."""
        if self._damaged:
            what = f"{self._damaged} damaged {'piece' if self._damaged == 1 else 'pieces'}, {self._damaged_bytes / 1000:.0f} kB"
            yield f"{self.path}: {what}, left out of this recording"
        if not self._closed:
            yield f"{self.path}: this recording was not closed; it was read up to its last whole message"

    def _introduce(self) -> None:
        at = len(MCAP0_MAGIC)
        while not self.info:
            opcode, begin, length, whole = self._head(at)
            if not (whole and opcode) or opcode == Opcode.CHUNK:
                return
            record = ReadDataStream(BytesIO(self._read(begin, length)))
            if opcode == Opcode.HEADER and (profile := Header.read(record).profile) != PROFILE:
                raise UserError(f"{self.path}: an MCAP file, but not a recording of poselift (profile {profile!r})")
            if opcode == Opcode.METADATA:
                self.info = dict(Metadata.read(record).metadata)
            at = begin + length

    def _head(self, at: int) -> tuple[int, int, int, bool]:
        """Opcode of the record there, where its content begins, how long it is, and whether all of it is there.

        The opcode is 0 at the file's end, and where there are zeros, as a lost power supply leaves them. What has the form of a chunk is
        one, with a damaged opcode.
        """
        begin, head = at + _RECORD.size, self._read(at, _RECORD.size + _CHUNK_HEAD.size)
        if len(head) < _RECORD.size:
            return 0, begin, 0, False
        opcode, length = _RECORD.unpack_from(head)
        if len(head) == _RECORD.size + _CHUNK_HEAD.size:
            *_, named, records = _CHUNK_HEAD.unpack_from(head, _RECORD.size)
            opcode = Opcode.CHUNK if named == 0 and records == length - _CHUNK_HEAD.size else opcode
        return opcode, begin, length, begin + length <= self._size()

    def _content(self, at: int, length: int, whole: bool) -> Optional[Content]:
        """The records of a chunk, the last of which may be cut where the chunk is; None where they are not what was written."""
        body = self._read(at, min(length, self._size()))
        if len(body) < _CHUNK_HEAD.size:
            return None
        *_, crc, named = _CHUNK.unpack_from(body)
        begin = _CHUNK.size + named + _LENGTH.size
        if named:
            return _unpacked(body) if whole else None
        records = memoryview(body)[begin:]
        return records if not whole or crc in (0, zlib.crc32(records)) else None

    def _places(self, content: Content) -> npt.NDArray[Any]:
        found = []
        at = 0
        while at + _RECORD.size <= len(content):
            opcode, length = _RECORD.unpack_from(content, at)
            at += _RECORD.size
            if at + length > len(content):
                break
            if opcode == Opcode.CHANNEL:
                with suppress(*_MALFORMED):
                    channel = Channel.read(ReadDataStream(BytesIO(content[at : at + length])))
                    self._topics[channel.id] = TOPICS.get(channel.topic, UNKNOWN)
            elif opcode == Opcode.MESSAGE and length >= _MESSAGE.size:
                number, _, _, t_ns = _MESSAGE.unpack_from(content, at)
                begin, end = at + _MESSAGE.size, at + length
                if number not in self._topics:  # the piece that names the channels is a damaged one
                    self._topics[number] = _topic_of(content[begin:end])
                found.append((self._topics[number], min(t_ns, _LATEST_NS), begin, end - begin))
            at += length
        return np.array(found, PLACE)

    def _next_chunk(self, at: int) -> Optional[int]:
        """Where the next record begins that is a chunk as it was written; None where there is none."""
        while len(block := self._read(at, _SEARCHED_BYTES)) >= _RECORD.size + _CHUNK_HEAD.size:
            for match in _CHUNK_BEGINS.finditer(block):
                _, begin, length, whole = self._head(at + match.start())
                if whole and self._content(begin, length, whole) is not None:
                    return at + match.start()
            at += len(block) - (_RECORD.size + _CHUNK_HEAD.size) + 1
        return None

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _read(self, at: int, length: int) -> bytes:
        try:
            return os.pread(self._file, length, at)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None


def _unpacked(body: bytes) -> Optional[bytes]:
    """The records of a chunk that another tool has compressed."""
    try:
        data, length = get_chunk_data_stream(Chunk.read(ReadDataStream(BytesIO(body))), validate_crc=True)
        return bytes(data.read(length))
    except Exception:  # the libraries that unpack raise several unrelated types
        return None


def _topic_of(data: Content) -> int:
    try:
        return TOPICS[type(decode(bytes(data))).__name__]
    except MessageError:
        return UNKNOWN
