"""The simulated `.om`: it begins as the real file does, with the header that CANN's loader checks; what follows is our own.

The header (CANN's open graph engine, "ModelFileHeader"): 256 bytes, little endian: magic number, size of the header, version, 64 bytes of
checksum, length of what follows, four bytes of flags, 32 bytes of name, and more that is zero here. Its loader refuses a file whose
length or magic number differ with 145006 (graph engine, "ModelParserBase::ParseModelContent").
Then: the length of a JSON text, the text, and an ONNX graph whose inputs and outputs have the dtypes that pyACL tells.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

MAGIC = 0x444F4D49
HEADER = struct.Struct("<III64sIBBBB32s")
HEADER_BYTES = 256
VERSION = 0x10000000
LENGTH = struct.Struct("<I")


class Io(NamedTuple):
    """An input or output as pyACL describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class OmFile(NamedTuple):
    name: str
    soc: str
    inputs: tuple[Io, ...]
    outputs: tuple[Io, ...]
    graph: bytes


def pack(om: OmFile) -> bytes:
    """The file's bytes."""
    tree = {"soc": om.soc, "inputs": om.inputs, "outputs": om.outputs}
    text = json.dumps(tree).encode()
    body = LENGTH.pack(len(text)) + text + om.graph
    header = HEADER.pack(MAGIC, HEADER_BYTES, VERSION, b"", len(body), 0, 1, 0, 0, om.name.encode()[:31])
    return header.ljust(HEADER_BYTES, b"\0") + body


def unpack(content: bytes) -> OmFile:
    """Raises ValueError where the header does not belong to the content."""
    if len(content) < HEADER_BYTES:
        raise ValueError(f"{len(content)} bytes are no header")
    magic, _, _, _, length, *_, name = HEADER.unpack_from(content)
    if magic != MAGIC or length != len(content) - HEADER_BYTES:
        raise ValueError(f"magic number {magic:#x}, {length} bytes announced, {len(content) - HEADER_BYTES} there")
    (text_bytes,) = LENGTH.unpack_from(content, HEADER_BYTES)
    start = HEADER_BYTES + LENGTH.size
    tree = json.loads(content[start : start + text_bytes])
    inputs, outputs = (tuple(Io(name, dtype, tuple(shape)) for name, dtype, shape in tree[side]) for side in ("inputs", "outputs"))
    return OmFile(name.rstrip(b"\0").decode(), tree["soc"], inputs, outputs, content[start + text_bytes :])
