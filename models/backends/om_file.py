"""Why an NPU does not load an `.om` file, as far as the file and its card tell. Asked only after pyACL has refused it.

The header is CANN's ModelFileHeader, as in its published graph engine: 256 bytes, which begin with a magic number and say at byte 76 how
many bytes follow. Newer files say that elsewhere, and 0 or anything here; so what the header says is never held against a file that loads.
"""

from __future__ import annotations

import struct
from pathlib import Path

from poselift.models.backends.om_card import OmCard

MAGIC = 0x444F4D49
HEADER_BYTES = 256
_FIELDS = struct.Struct("<II4x64xI")
"""Magic number, size of the header, (version, checksum,) size of what follows; little endian."""


def why_not(path: Path, card: OmCard, soc: str | None) -> str:
    """One line, or empty where nothing is amiss that can be seen here. `soc`: the chip of this board, None where it is not known."""
    size_bytes = path.stat().st_size
    if size_bytes < HEADER_BYTES:
        return f"{path}: this file is truncated: it has {size_bytes} bytes; copy it again"
    with path.open("rb") as file:
        magic, header_bytes, content_bytes = _FIELDS.unpack(file.read(_FIELDS.size))
    if magic != MAGIC:
        return f"{path}: this is no .om file; give one that ATC made (poselift models atc)"
    if size_bytes < header_bytes + content_bytes:
        return f"{path}: this file is truncated: {size_bytes} of {header_bytes + content_bytes} bytes; copy it again"
    if soc and family(soc) != family(card.soc):
        return f"{path}: this network was converted for {card.soc}, and this board has {soc}; type: poselift models atc --soc {soc}"
    return ""


def family(soc: str) -> str:
    """Chips that are not blamed for each other's files: CANN's compiler takes all Ascend310B for one, Ascend310 and Ascend310P for two.

    That a B1's file loads on a B4 is not documented.
    """
    return "Ascend310B" if soc.startswith("Ascend310B") else soc
