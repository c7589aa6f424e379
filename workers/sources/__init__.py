"""Where pictures come from: one file per kind of source, and the table of kinds."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Callable, NamedTuple

import cv2

from poselift.app.config import CaptureConfig
from poselift.app.redact import display_name
from poselift.common.errors import UserError
from poselift.workers.sources.csi import CsiSource
from poselift.workers.sources.paths import mode_of, path_of
from poselift.workers.sources.pattern import PatternSource
from poselift.workers.sources.picture import Lost, Picture, Source, SourceLost
from poselift.workers.sources.pictures import PictureFolder
from poselift.workers.sources.replay import Replay
from poselift.workers.sources.rtsp import RtspSource
from poselift.workers.sources.v4l2 import V4l2Source, is_camera
from poselift.workers.sources.video import VideoFile

_ERRORS = 2
"""OpenCV's LOG_LEVEL_ERROR."""

__all__ = ["KINDS", "Lost", "Picture", "Source", "SourceLost", "file_source", "is_live", "open_source"]


class Kind(NamedTuple):
    """One line of the table."""

    what: str
    """For people."""
    claims: Callable[[str], bool]
    """Whether a source, as the user wrote it, is of this kind."""
    open: Callable[[CaptureConfig], Source]
    """Raises UserError."""


KINDS = (
    Kind("test:WIDTHxHEIGHT@FPS", lambda source: source.startswith("test:"), PatternSource),
    Kind("rtsp://HOST/PATH", lambda source: source.lower().startswith(("rtsp://", "rtsps://")), RtspSource),
    Kind("a camera's index or /dev path", is_camera, V4l2Source),
    Kind("csi:0 or csi:1", lambda source: source.startswith("csi:"), CsiSource),
    Kind("a folder of pictures", lambda source: stat.S_ISDIR(mode_of(source)), PictureFolder),
    Kind("a recording (.mcap)", lambda source: source.lower().endswith(".mcap"), Replay),
    Kind("a video file", lambda source: "://" not in source, VideoFile),
)
"""The first kind that claims a source opens it."""


def is_live(settings: CaptureConfig) -> bool:
    """Whether `settings.source` names a camera, of whatever kind: it may be away for a while."""
    return next((kind.open in (RtspSource, V4l2Source, CsiSource) for kind in KINDS if kind.claims(settings.source)), False)


def identity(settings: CaptureConfig) -> int:
    """A number, not 0, for what `settings.source` names now: another one for another file in its place, or at another rate."""
    parts: list[object] = [settings.source]
    if not is_live(settings):
        parts.append(settings.fps)
        with suppress(OSError, ValueError):
            status = path_of(settings.source).stat()
            parts += [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest(), "big") + 1


def open_source(settings: CaptureConfig) -> Source:
    """The source that `settings.source` names, with its first picture at hand. Raises UserError: one line that says why not."""
    _refuse_nothing(settings.source)
    _quiet_opencv()
    for kind in KINDS:
        if kind.claims(settings.source):
            return kind.open(settings)
    known = ", ".join(kind.what for kind in KINDS)
    raise UserError(f"{display_name(settings.source)}: no such kind of source; give one of: {known}")


def file_source(source: str) -> str:
    """What the user gave to a command that takes no camera, as `capture.source`: what is there under this name is meant.

    So a folder named 1 is itself, and not a camera. Raises UserError for a camera, which has no end, and for nothing at all.
    """
    _refuse_nothing(source)
    for path in (str(Path(source).absolute()), str(path_of(source).absolute())):
        if (mode := mode_of(path)) and not stat.S_ISCHR(mode):
            return path
    if is_live(CaptureConfig(source=source)):
        name = display_name(source)
        raise UserError(f"{name}: this is a camera, and has no end; type: poselift up {name}")
    return source


def _refuse_nothing(source: str) -> None:
    if not source:
        raise UserError("the source is empty; name a video, a folder of pictures or a recording, or for 'up' a camera")


def _quiet_opencv() -> None:
    """Errors only: OpenCV's warnings would stand before the one line that says why not."""
    if "OPENCV_LOG_LEVEL" not in os.environ:
        if hasattr(cv2, "setLogLevel"):  # OpenCV 4
            cv2.setLogLevel(_ERRORS)
        else:
            cv2.utils.logging.setLogLevel(_ERRORS)
