"""The viewer's colours, RGB from 0 to 1: those of `app/export/palette.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from poselift.app.export import palette

Rgb = tuple[float, float, float]


def rgb(colour: palette.Colour) -> Rgb:
    """A colour of the palette (BGR, 0 to 255) as RGB, 0 to 1."""
    blue, green, red = colour
    return red / 255, green / 255, blue / 255


BACKGROUND, SHADE, TEXT, HELD, CONTACT = map(rgb, (palette.BACKGROUND, palette.SHADE, palette.TEXT, palette.HELD, palette.CONTACT))
BRIGHT: Rgb = rgb(palette.TRUNK)
FLOOR: Rgb = (0.46, 0.55, 0.66)
LIVE: Rgb = (0.37, 0.80, 0.56)
WARNING: Rgb = (1.0, 0.72, 0.28)
RECORDING: Rgb = (1.0, 0.32, 0.30)
FROZEN: Rgb = rgb(palette.RIGHT)

PEOPLE: tuple[Rgb, ...] = tuple(map(rgb, palette.PEOPLE))

_LEFT_LIGHTER, _RIGHT_DARKER = 0.30, 0.24


def colour_of(person: int) -> Rgb:
    """The colour of the person with that id, in the picture and in the scene."""
    return rgb(palette.colour_of(person))


def blend(colour: npt.ArrayLike, other: npt.ArrayLike, share: Any) -> npt.NDArray[np.float32]:
    """`colour` (float [..., 3]) blended with `other`, of which the share is `share` (0 to 1, of the same leading shape)."""
    weight = np.asarray(share, np.float32)[..., None]
    return np.asarray(np.asarray(colour, np.float32) * (1 - weight) + np.asarray(other, np.float32) * weight, np.float32)


def side_tint(colour: npt.ArrayLike, side: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """A person's colour for their own left side (1: lighter), right side (-1: darker) or the middle (0)."""
    sides = np.asarray(side, np.float32)
    lighter = blend(colour, BRIGHT, _LEFT_LIGHTER * np.maximum(sides, 0))
    return blend(lighter, SHADE, _RIGHT_DARKER * np.maximum(-sides, 0))
