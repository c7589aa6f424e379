"""A folder of pictures, in the order a person would count them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from app.config import CaptureConfig
from app.errors import UserError
from workers.sources.paths import path_of
from workers.sources.picture import Picture, Pixels

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_DEFAULT_FPS = 30.0


class PictureFolder:
    """The pictures of a folder (not of the folders in it), `fps` of them a second, turned as their EXIF says; sizes may differ."""

    live = False

    def __init__(self, settings: CaptureConfig) -> None:
        self.name, self.note = settings.source, ""
        self.fps = settings.fps or _DEFAULT_FPS
        try:
            self._paths = sorted(_pictures_in(path_of(settings.source)), key=_natural)
        except PermissionError:
            raise UserError(f"{self.name}: no permission to read this folder; check its owner and mode") from None
        if not self._paths:
            raise UserError(f"{self.name}: no pictures in this folder; it needs files ending in {', '.join(ENDINGS)}")
        if all(_read(path) is None for path in self._paths):
            raise UserError(f"{self.name}: none of the {len(self._paths)} pictures in this folder can be read; check {self._paths[0].name}")
        self.frames: Optional[int] = len(self._paths)

    def __iter__(self) -> Iterator[Picture]:
        """The pictures; one that cannot be read is left out, its time stays empty, and `note` says so."""
        period = 1 / Fraction(str(self.fps))
        unread: list[str] = []
        for number, path in enumerate(self._paths):
            pixels = _read(path)
            if pixels is None:
                unread.append(path.name)
                self.note = f"{len(unread)} of {len(self._paths)} pictures could not be read (the first: {unread[0]})"
            else:
                yield Picture(pixels, int(number * period * 10**9))

    def close(self) -> None:
        """Nothing is held."""


def _pictures_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file())


def _natural(path: Path) -> Any:
    """img2 before img10; names that differ in nothing else by their letters."""
    parts = re.split("([0-9]+)", path.name)  # every second one is a number
    return [int(part) if place % 2 else part.casefold() for place, part in enumerate(parts)], path.name


def _read(path: Path) -> Optional[Pixels]:
    try:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # larger than OpenCV allows, for one
        return None
    return None if pixels is None else np.ascontiguousarray(pixels, np.uint8)
