"""Where pictures come from: one file per kind of source, and the table of kinds."""

from __future__ import annotations

import hashlib
import os
import pkgutil
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from poselift.app.redact import display_name
from poselift.common.errors import UserError
from poselift.workers.sources.paths import is_camera, mode_of, path_of
from poselift.workers.sources.source import CapturedPicture, Lost, Source, SourceLost

if TYPE_CHECKING:  # the command line reads the table, and must start quickly
    from poselift.app.config import CaptureConfig

_ERRORS = 2
"""OpenCV's LOG_LEVEL_ERROR."""

__all__ = ["KINDS", "CapturedPicture", "Lost", "Source", "SourceLost", "file_source", "is_live", "kind_of", "kinds", "open_source"]


class Kind(NamedTuple):
    """One line of the table."""

    what: str
    """For people, in messages and in the command line's help."""
    claims: Callable[[str], bool]
    """Whether a source, as the user wrote it, is of this kind."""
    named: str
    """FILE:CLASS here; the file is imported when such a source is wanted."""
    npu: bool = False
    """Whether it opens the NPU."""

    @property
    def live(self) -> bool:
        """Whether it is a camera, which may be away for a while; else it is a file, and has an end."""
        return bool(self._class().live)

    def open(self, settings: CaptureConfig) -> Source:
        """The source, with its first picture at hand. Raises UserError."""
        kind = self._class()
        _quiet_opencv()
        source: Source = kind(settings)
        return source

    def _class(self) -> Any:
        return pkgutil.resolve_name(f"{__name__}.{self.named}")


KINDS = (
    Kind("a camera's index (0) or device (/dev/video0)", is_camera, "v4l2:V4l2Source"),
    Kind("csi:0 or csi:1 on an Atlas 200 DK", lambda source: source.startswith("csi:"), "csi:CsiSource", npu=True),
    Kind("rtsp://HOST/PATH", lambda source: source.lower().startswith(("rtsp://", "rtsps://")), "rtsp:RtspSource"),
    Kind("test:WIDTHxHEIGHT@FPS for generated pictures", lambda source: source.startswith("test:"), "pattern:PatternSource"),
    Kind("a folder of pictures", lambda source: stat.S_ISDIR(mode_of(source)), "pictures:PictureFolder"),
    Kind("a recording (.mcap)", lambda source: source.lower().endswith(".mcap"), "replay:Replay"),
    Kind("a video file", lambda source: "://" not in source, "video:VideoFile"),
)
"""The first kind that claims a source opens it."""


def kinds() -> str:
    """All of them, for people."""
    *most, last = (kind.what for kind in KINDS)
    return f"{', '.join(most)}, or {last}"


def kind_of(source: str) -> Optional[Kind]:
    """The kind of what the user wrote; None where it is none."""
    return next((kind for kind in KINDS if kind.claims(source)), None)


def is_live(source: str) -> bool:
    """Whether `source` names a camera, of whatever kind: it may be away for a while."""
    kind = kind_of(source)
    return kind is not None and kind.live


def identity(settings: CaptureConfig) -> int:
    """A number, not 0, for what `settings.source` names now: another one for another file in its place, or at another rate."""
    parts: list[object] = [settings.source]
    if not is_live(settings.source):
        parts.append(settings.fps)
        with suppress(OSError, ValueError):
            status = path_of(settings.source).stat()
            parts += [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest(), "big") + 1


def open_source(settings: CaptureConfig) -> Source:
    """The source that `settings.source` names, with its first picture at hand. Raises UserError: one line that says why not."""
    _refuse_nothing(settings.source)
    kind = kind_of(settings.source)
    if kind is None:
        raise UserError(f"{display_name(settings.source)}: no such kind of source; give {kinds()}")
    return kind.open(settings)


def file_source(source: str) -> str:
    """What the user gave to a command that takes no camera, as `capture.source`: what is there under this name is meant.

    So a folder named 1 is itself, and not a camera. Raises UserError for a camera, which has no end, and for nothing at all.
    """
    _refuse_nothing(source)
    for path in (str(Path(source).absolute()), str(path_of(source).absolute())):
        if (mode := mode_of(path)) and not stat.S_ISCHR(mode):
            return path
    if is_live(source):
        name = display_name(source)
        raise UserError(f"{name}: this is a camera, and has no end; type: poselift up {name}")
    return source


def _refuse_nothing(source: str) -> None:
    if not source:
        raise UserError("the source is empty; name a video, a folder of pictures or a recording, or for 'up' a camera")


def _quiet_opencv() -> None:
    """Errors only, where it is used: OpenCV's warnings would stand before the one line that says why not."""
    cv2 = sys.modules.get("cv2")
    if cv2 and "OPENCV_LOG_LEVEL" not in os.environ:
        (cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging).setLogLevel(_ERRORS)  # OpenCV 4, OpenCV 5
