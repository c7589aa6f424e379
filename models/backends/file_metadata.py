"""What a network's file says of itself, without opening the network: neither ONNX Runtime nor an NPU is needed.

An ONNX file is a Protocol Buffers message, ModelProto; its field 14 (`metadata_props`) is repeated and holds a key (1) and a value (2), see
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Everything else is passed over.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from poselift.common.errors import ModelError
from poselift.models.backends.om_card import read_card

METADATA_PROPS, KEY, VALUE = 14, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The kinds of field, see https://protobuf.dev/programming-guides/encoding."""
MAX_BYTES = 1 << 20


def file_metadata(path: Path) -> dict[str, str]:
    """The pairs in an `.onnx` file, or in the card of an `.om` file; empty where it has none. Raises ModelError, OSError."""
    if path.suffix.lower() == ".om":
        return dict(read_card(path).metadata)
    with path.open("rb") as file:
        return dict(map(_pair, _fields(file, METADATA_PROPS, path)))


def _pair(entry: bytes) -> tuple[str, str]:
    key, value = (b"".join(_fields(io.BytesIO(entry), field, Path("metadata"))).decode(errors="replace") for field in (KEY, VALUE))
    return key, value


def _fields(file: BinaryIO, wanted: int, path: Path) -> list[bytes]:
    """The contents of each field with that number."""
    found = []
    while (tag := _varint(file, path)) is not None:
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _varint(file, path)
        elif kind in (FIXED32, FIXED64):
            file.seek(4 if kind == FIXED32 else 8, io.SEEK_CUR)
        elif kind == BYTES and (length := _varint(file, path)) is not None:
            if field == wanted and length <= MAX_BYTES:
                found.append(file.read(length))
            else:
                file.seek(length, io.SEEK_CUR)
        else:
            raise ModelError(f"{path}: this is no ONNX file")
    return found


def _varint(file: BinaryIO, path: Path) -> int | None:
    """A number of the file; None at its end."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ModelError(f"{path}: this is no ONNX file")
