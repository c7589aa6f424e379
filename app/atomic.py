"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; it takes `path`'s name when the block ends well, and is removed when it does not.

    Makes the folder. Raises OSError as writing does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def at_once(path: Path) -> Iterator[BytesIO]:
    """Memory to write to, which becomes the file when the block ends well: for an archive, which needs an end wherever the disk is full.

    Makes the folder. Raises OSError as writing does.
    """
    content = BytesIO()
    yield content
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())
