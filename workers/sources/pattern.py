"""`test:WIDTHxHEIGHT@FPS`: a moving pattern in which every picture carries its own number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Optional

import numpy as np

from poselift.app.config import CaptureConfig
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError
from poselift.workers.sources.source import CapturedPicture

_FORM = re.compile(r"test:(\d{1,5})x(\d{1,5})@(\d{1,4}(?:\.\d{1,3})?)(?:,frames=(\d{1,9}))?")
_MIN_WIDTH_PX, _MIN_HEIGHT_PX, _MAX_PX, _MAX_FPS = 64, 32, 16384, 1000
_BITS = 32
"""Cells in a strip, each black or white: 24 for the number, highest first, then 8 for its check."""
_STRIPS = 16
"""A strip is this part of the height."""


class PatternSource:
    """Generated pictures, the same ones every time. Endless without `frames=`, with media time, as fast as it is read."""

    live = False
    heeds_fps = False
    note = ""

    def __init__(self, settings: CaptureConfig) -> None:
        self.name = settings.source
        form = _FORM.fullmatch(settings.source)
        width, height = (int(form[1]), int(form[2])) if form else (0, 0)
        self._fps = Fraction(form[3]) if form else Fraction(0)
        if not (form and _MIN_WIDTH_PX <= width <= _MAX_PX and _MIN_HEIGHT_PX <= height <= _MAX_PX and 0 < self._fps <= _MAX_FPS):
            raise UserError(
                f"{settings.source}: not a test pattern; write test:WIDTHxHEIGHT@FPS or test:WIDTHxHEIGHT@FPS,frames=N, such as "
                f"test:640x480@30,frames=300 (from {_MIN_WIDTH_PX}x{_MIN_HEIGHT_PX} to {_MAX_PX}x{_MAX_PX}, at most {_MAX_FPS} a second)"
            )
        self.fps = float(self._fps)
        self.frames: Optional[int] = int(form[4]) if form[4] else None
        self._texture = _texture(width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def __iter__(self) -> Iterator[CapturedPicture]:
        """The pictures; each is written over the one before."""
        height = len(self._pixels)
        number = 0
        while self.frames is None or number < self.frames:
            top = number * 2 % (len(self._texture) - height)
            np.copyto(self._pixels, self._texture[top : top + height])
            write_number(self._pixels, number)
            yield CapturedPicture(self._pixels, number * 10**9 * self._fps.denominator // self._fps.numerator)
            number += 1

    def close(self) -> None:
        """Nothing is held."""


def write_number(pixels: Pixels, number: int) -> None:
    """Write `number` (modulo 2**24) into the top and the bottom strip of `pixels`, uint8 [height, width, 3]."""
    height, width = pixels.shape[:2]
    word = (number & 0xFFFFFF) << 8 | _check(number & 0xFFFFFF)
    bits = np.array([word >> (_BITS - 1 - i) & 1 for i in range(_BITS)], np.uint8)
    row = bits[np.arange(width) * _BITS // width] * np.uint8(255)
    strip = height // _STRIPS
    pixels[:strip] = row[None, :, None]
    pixels[-strip:] = row[None, :, None]


def read_number(pixels: Pixels) -> int:
    """The number of a pattern's picture, uint8 [height, width, 3], also after JPEG, video coding or scaling.

    Raises ValueError where there is none, or where top and bottom belong to different pictures.
    """
    height, width = pixels.shape[:2]
    columns = (np.arange(_BITS) * 2 + 1) * width // (_BITS * 2)
    middle = height // (_STRIPS * 2)
    top, bottom = (_read_row(pixels[y, columns]) for y in (middle, height - 1 - middle))
    if top != bottom:
        raise ValueError(f"a torn picture: {top} at the top, {bottom} at the bottom")
    return top


def _read_row(cells: Pixels) -> int:
    bits = cells.mean(axis=1) > 127
    word = int("".join("1" if bit else "0" for bit in bits), 2)
    number, check = word >> 8, word & 0xFF
    if check != _check(number):
        raise ValueError(f"not a picture of the test pattern: {number} with check {check}, not {_check(number)}")
    return number


def _check(number: int) -> int:
    """A byte in which every byte of the number counts differently; that of an all black or all white picture is wrong."""
    return (0xA5 + 3 * (number >> 16) + 5 * (number >> 8 & 0xFF) + 7 * (number & 0xFF)) & 0xFF


def _texture(width: int, height: int) -> Pixels:
    """Smooth waves, uint8 [height + period, width, 3], that begin again after `period` rows."""
    period = 256
    y = np.arange(height + period)[:, None] * (2 * np.pi / period)
    x = np.arange(width)[None, :] * (2 * np.pi / 200)
    waves = [np.sin(x + y), np.sin(2 * y - x), np.sin(x) * np.cos(3 * y)]
    return np.stack([(127.5 + 80 * wave).astype(np.uint8) for wave in waves], axis=-1)
