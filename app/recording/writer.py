"""Writing a recording, so that it can be read up to the last whole message however the writer ended."""

from __future__ import annotations

import errno
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, fields
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from mcap.writer import CompressionType, Writer

from poselift.app.dataflow.messages import SCHEMA, Message, encode
from poselift.app.dataflow.session import Session
from poselift.app.dataflow.streams import recorded
from poselift.app.recording.part import PROFILE
from poselift.app.recording.parts import create_part, free_bytes
from poselift.common.atomic import NO_SPACE
from poselift.common.errors import UserError
from poselift.common.skeleton import JOINTS, KEYPOINTS

# A killed recorder loses what its open chunk held: at most FLUSH_S of messages. Chunks are cut by time rather than size because the
# index of every chunk of a part stays in memory until the part is closed, which is also why a part ends after MAX_CHUNKS (about an hour).
FLUSH_S = 0.4
CHUNK_BYTES = 4 << 20
MAX_CHUNKS = 8192
MAX_PART_BYTES = 2 << 30
MESSAGE_BYTES, CHUNK_INDEX_BYTES, END_BYTES = 64, 256, 1 << 16
"""At most, what a message takes beside its own bytes, what a chunk takes in the index, and the rest of what is written at the end."""

REMOVED = "this recording was removed while it was written"


class RecordingFull(Exception):
    """No room for more: the recording is closed and can be read; the message says what it holds and what was lost."""


class RecordingWriter:
    """Writes one part of a recording, or several in a row: the next free one at `path`, or, where another session's is there, beside it.

    `info` goes into the file as text, beside the versions and the names of the joints: no secrets, but the session (`Session.told`).
    Raises UserError where no file can be made, RecordingFull where less than `min_free_mb` megabytes are free, now or at any later write.
    Once full it stays closed.
    """

    def __init__(
        self,
        path: Path,
        info: Mapping[str, str],
        *,
        min_free_mb: int = 0,
        flush_s: float = FLUSH_S,
        max_chunks: int = MAX_CHUNKS,
    ) -> None:
        self.base = path
        """Where the recording is: `path`, or NAME-TIME beside it."""
        self.path = path
        """The part being written."""
        self.messages = 0
        """Messages safely with the operating system, over all parts of this writer."""
        self._flush_s, self._max_chunks, self._min_free_bytes = flush_s, max_chunks, min_free_mb * 10**6
        self._info = {
            "poselift": version("poselift"),
            "schema": str(SCHEMA),
            "joint_names": json.dumps(JOINTS),
            "keypoint_names": json.dumps(KEYPOINTS),
            **info,
        }
        self._too_little = f"less than {min_free_mb} MB free"
        self._waiting, self._chunks, self._flushed_s = 0, 0, time.monotonic()
        self._full: Optional[str] = None
        self._open()

    def write(self, message: Message) -> None:
        """Append `message`. Raises RecordingFull."""
        self.write_bytes(type(message), encode(message), getattr(message, "t_ns", None))

    def write_bytes(self, kind: type[Message], data: bytes, t_ns: Optional[int] = None) -> None:
        """Append an encoded message of that kind; `t_ns` is the time of its picture, if it has one. Raises RecordingFull."""
        now_ns = time.time_ns()
        self._append(kind.__name__, data, now_ns, now_ns if t_ns is None else max(t_ns, 0))

    def flush(self) -> None:
        """Hand everything written so far to the operating system; `write` does so by itself every `flush_s`. Raises RecordingFull."""
        if self._full or not self._waiting:
            return
        self._make_room(0)

    def close(self) -> None:
        """Write what waits and the index. Raises RecordingFull where they do not fit; closing again does nothing."""
        if self._file.closed:
            return
        with self._disk():
            self._writer.flush()
        with self._disk():
            self._writer.finish()
        self._file.close()

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def _open(self) -> None:
        try:
            self.base.parent.mkdir(parents=True, exist_ok=True)
            if free_bytes(self.base.parent) < self._min_free_bytes:
                self._full = f"{self.base}: {self._too_little}: the recording ends, with {self.messages} messages"
                raise RecordingFull(self._full)
            self.base, self._file = create_part(self.base, Session.of(self._info))
        except OSError as error:
            raise UserError(f"{self.base}: cannot record there ({error.strerror})") from None
        self.path = self._file.path
        self._writer: Any = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
        with self._disk():
            self._writer.start(profile=PROFILE, library=f"poselift {self._info['poselift']}")
            self._writer.add_metadata("poselift", self._info)
        self._channels = {kind.__name__: self._register(kind) for kind in recorded()}
        self._chunks = 0
        self._room_bytes = 0.0  # so much may be written before the disk is looked at again

    def _register(self, kind: type[Message]) -> int:
        text = json.dumps({"schema": SCHEMA, "fields": [_described(item) for item in fields(kind)]})
        schema = self._writer.register_schema(kind.__name__, "poselift-fields", text.encode())
        return int(self._writer.register_channel(kind.__name__, "msgpack", schema))

    def _append(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        if self._full:
            raise RecordingFull(self._full)
        needed_bytes = len(data) + MESSAGE_BYTES
        if needed_bytes > self._room_bytes:
            self._make_room(needed_bytes)
        self._room_bytes -= needed_bytes
        self._waiting += 1
        with self._disk():
            self._writer.add_message(self._channels[topic], log_time_ns, data, publish_time_ns)
        if time.monotonic() - self._flushed_s >= self._flush_s:
            self.flush()
        if self._chunks >= self._max_chunks or self._file.size_bytes >= MAX_PART_BYTES:
            self.close()
            self._open()

    def _make_room(self, needed_bytes: int) -> None:
        """Write what waits, and see how much more may be: close the recording where that is less than what is needed."""
        self._flushed_s = time.monotonic()
        with self._disk():
            self._writer.flush()
        end_bytes = END_BYTES + CHUNK_INDEX_BYTES * self._chunks
        try:
            room_bytes = free_bytes(self.path) - self._min_free_bytes - end_bytes
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, REMOVED, str(self.path)) from None
        self._room_bytes = room_bytes if self._min_free_bytes else math.inf
        if self._room_bytes < needed_bytes:
            self.close()
            self._full = f"{self.path}: {self._too_little}: the recording is closed, with {self.messages} messages"
            raise RecordingFull(self._full)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Around what may write to the file: notes when that completes a chunk, ends the recording where there is no room."""
        size_bytes, failure = self._file.size_bytes, None
        try:
            yield
        except OSError as error:
            failure = error
        if self._file.size_bytes > size_bytes:
            self.messages, self._waiting = self.messages + self._waiting, 0
            self._chunks += 1
        if failure is None:
            return
        self._file.end()
        if failure.errno not in NO_SPACE:
            raise OSError(failure.errno, failure.strerror, str(self.path)) from None
        lost = f"; the last {self._waiting} did not fit" if self._waiting else ""
        self._full = f"{self.path}: {failure.strerror}: the recording is closed, with {self.messages} messages{lost}"
        raise RecordingFull(self._full) from None


def _described(item: Field[Any]) -> dict[str, Any]:
    """A message's field in words: arrays with their dtype and shape, where null is the number of people."""
    if "dtype" not in item.metadata:
        return {"name": item.name, "type": item.type}
    return {"name": item.name, "type": "array", "dtype": item.metadata["dtype"].str, "shape": [None, *item.metadata["shape"]]}
