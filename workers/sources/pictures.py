"""A folder of pictures, in the order a person would count them."""

from __future__ import annotations

import os
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import cv2
import numpy as np

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import DAMAGED
from poselift.app.redact import display_name
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError
from poselift.workers.sources.paths import path_of
from poselift.workers.sources.pixel_formats import END_OF_JPEG
from poselift.workers.sources.source import CapturedPicture, Lost

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
DARK = "use only the lowest 12 of their 16 bits and look black: write them over the whole range, or state MaxSampleValue in a TIFF"
_DEFAULT_FPS = 30.0
_MAX_SAMPLE_VALUE = 281
_NOT_WHOLE = re.compile(rb"Corrupt JPEG data(?!: \d extraneous bytes before marker 0xd9)|TIFF_Error")
"""What decoders say of a picture that they make up in part. A few bytes between a JPEG's last pixel and its end, as some cameras leave
there, do no harm."""


class PictureFolder:
    """The pictures of a folder (not of the folders in it), `fps` of them a second, turned as their EXIF says; sizes may differ."""

    live = False
    heeds_fps = True

    def __init__(self, settings: CaptureConfig) -> None:
        self.name, self.note = display_name(settings.source), ""
        self.fps = settings.fps or _DEFAULT_FPS
        try:
            self._paths = sorted(_pictures_in(path_of(settings.source)), key=_natural)
        except PermissionError:
            raise UserError(f"{self.name}: no permission to read this folder; check its owner and mode") from None
        if not self._paths:
            raise UserError(f"{self.name}: no pictures in this folder; it needs files ending in {', '.join(ENDINGS)}")
        if all(_read(path).pixels is None for path in self._paths):
            raise UserError(f"{self.name}: none of the {len(self._paths)} pictures in this folder can be read; check {self._paths[0].name}")
        self.frames: Optional[int] = len(self._paths)

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        """The pictures; one that cannot be read whole is left out, its number and time stay empty, and `note` says so."""
        period = 1 / Fraction(str(self.fps))
        unread: list[str] = []
        dark: list[str] = []
        for number, path in enumerate(self._paths):
            pixels, is_dark = _read(path)
            if is_dark:
                dark.append(path.name)
            if pixels is None:
                unread.append(path.name)
                yield Lost(1, DAMAGED)
            else:
                yield CapturedPicture(pixels, int(number * period * 10**9))
        self.note = "; ".join(
            f"{len(names)} of {len(self._paths)} pictures {what} (the first: {names[0]})"
            for names, what in ((unread, "could not be read whole and are left out"), (dark, DARK))
            if names
        )

    def close(self) -> None:
        """Nothing is held."""


def _pictures_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file())


def _natural(path: Path) -> Any:
    """img2 before img10; names that differ in nothing else by their letters."""
    parts = re.split("([0-9]+)", path.name)  # every second one is a number
    return [int(part) if place % 2 else part.casefold() for place, part in enumerate(parts)], path.name


class _Read(NamedTuple):
    """What is in a file."""

    pixels: Optional[Pixels]
    """None where it cannot be read, or not whole."""
    is_dark: bool = False
    """16 bits, of which nothing is above the lowest 12, and nothing says why."""


def _read(path: Path) -> _Read:
    try:
        data = path.read_bytes()
        with _stderr() as printed:  # a JPEG that lacks only its end marker is complete: so the marker is added
            pixels = cv2.imdecode(np.frombuffer(data + END_OF_JPEG, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (OSError, cv2.error):  # OpenCV's: larger than it allows, for one
        return _Read(None)
    if pixels is None or _NOT_WHOLE.search(printed):
        return _Read(None)
    if pixels.dtype == np.uint8:
        return _Read(np.ascontiguousarray(pixels, np.uint8))
    white = max_sample_value(data) or (1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)
    is_dark = white == 2**16 - 1 and int(pixels.max()) < 2**12
    return _Read(np.asarray(cv2.convertScaleAbs(pixels, alpha=255 / white), np.uint8), is_dark)


def max_sample_value(data: bytes) -> int:
    """MaxSampleValue, a TIFF's own word for its white (tag 281 of TIFF 6.0); 0 where it does not say, or this is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return 0
    try:
        (begin,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, begin)
        for entry in range(begin + 2, begin + 2 + 12 * count, 12):
            tag, _, values, place = struct.unpack_from(f"{order}HHII", data, entry)
            if tag == _MAX_SAMPLE_VALUE:  # two values of two bytes fit into the entry
                return int(struct.unpack_from(f"{order}H", data, entry + 8 if values <= 2 else place)[0])
    except struct.error:
        pass
    return 0


@contextmanager
def _stderr() -> Iterator[bytearray]:
    """What the decoders' libraries print on stderr: nothing else tells that they made up pixels that were missing."""
    printed = bytearray()
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield printed
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            printed += file.read()
