"""3D poses as files for other programs, and the table of their formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, NamedTuple, Optional

from poselift.app.dataflow.messages import Pose3D
from poselift.common.arrays import Pixels

Drawn = tuple[Optional[Pixels], Optional[Pose3D], int]
"""A picture (BGR), where there is one, its pose, where there is one, and their time, ns."""


class Content(NamedTuple):
    """What a file is to hold."""

    poses: Callable[[], Iterable[Pose3D]]
    """The poses of one stream, in order."""
    fps: float
    """The source's nominal rate; 0 where it has none."""
    body_height_m: float
    source: str
    """What the poses were made from: the file is to say so."""
    frames: Callable[[], Iterable[Drawn]] = tuple
    """For what is drawn: every frame."""
    longest_s: float = 0.0
    """The longest time between two frames, to be known where it may be hours."""
    advance: Callable[[], None] = lambda: None
    """To be called after every frame that is drawn."""
    body_heights_m: Mapping[int, float] = MappingProxyType({})
    """By id, of those who are not `body_height_m` tall."""


class Format(NamedTuple):
    """One line of the table."""

    named: str
    """FILE here. It is imported when it is wanted."""
    drawn: bool = False
    """Whether it is drawn from the pictures, and so only where that is asked for."""

    def write(self, path: Path, content: Content) -> str:
        """Write the file, as a whole or not at all; what is to be said of it beside its name, in words that follow that."""
        return str(self._file().write(path, content))

    def made_from(self, path: Path) -> Any:
        """The `source` of a file that was written so. Whatever else is there may give anything, and raise anything."""
        return self._file().made_from(path)

    def _file(self) -> Any:
        return import_module(f"{__name__}.{self.named}")


FORMATS = {
    ".npz": Format("npz"),
    ".mp4": Format("video", drawn=True),
}
"""Ending -> format."""
