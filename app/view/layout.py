"""Where the parts of the window are, for any size of it: margins, panels and type are scaled with the window."""

from __future__ import annotations

from typing import NamedTuple, Optional

SIDE_BY_SIDE_ASPECT = 1.1
"""A window whose width by its height is less than this has the picture above the scene, not beside it."""


class Rect(NamedTuple):
    """A rectangle in the window, px from the window's top left corner."""

    left: float
    top: float
    width: float
    height: float

    def contains(self, x_px: float, y_px: float) -> bool:
        """Whether a point of the window lies in it."""
        return self.left <= x_px < self.left + self.width and self.top <= y_px < self.top + self.height


class Layout(NamedTuple):
    """The parts of the window."""

    unit: float
    """The scale: all lengths are designed for a window of 1280x720, where it is 1."""
    header: Rect
    """The line of text at the top."""
    picture: Optional[Rect]
    """None if the picture is switched off."""
    people: Rect
    """The list of people."""
    scene: Rect
    seek_bar: Optional[Rect]
    """None while a live stream is shown as it arrives."""


def unit_of(width_px: int, height_px: int) -> float:
    """The scale for a window: a little less than in proportion to it, so that a large window has more empty space."""
    return float(max(0.7, min(width_px / 1280, height_px / 720)) ** 0.85)


def arrange(width_px: int, height_px: int, picture_aspect: Optional[float], seek_bar: bool) -> Layout:
    """The layout of a window. `picture_aspect` is the picture's width by its height, None if no picture is shown."""
    unit = unit_of(width_px, height_px)
    margin, gap = 20 * unit, 16 * unit
    header = Rect(margin, 0, width_px - 2 * margin, 52 * unit)
    footer = (58 if seek_bar else 18) * unit
    top, bottom = header.height, height_px - footer
    bar = Rect(margin, bottom, width_px - 2 * margin, footer) if seek_bar else None
    if picture_aspect is None:
        scene = Rect(0, top, width_px, bottom - top)
        return Layout(unit, header, None, Rect(margin, bottom - 80 * unit, 0.4 * width_px, 80 * unit), scene, bar)
    if width_px < SIDE_BY_SIDE_ASPECT * height_px:
        size = _fitted(width_px - 2 * margin, 0.42 * (bottom - top), picture_aspect)
        picture = Rect((width_px - size[0]) / 2, top, *size)
        below = picture.top + picture.height
        people = Rect(margin, below + gap, width_px - 2 * margin, 40 * unit)
        return Layout(unit, header, picture, people, Rect(0, people.top, width_px, bottom - people.top), bar)
    width, height = _fitted(0.545 * width_px - margin, bottom - top - 76 * unit, picture_aspect)
    spare = max(bottom - top - height - 76 * unit, 0)
    picture = Rect(margin, top + 0.42 * spare, width, height)
    people = Rect(margin, picture.top + height + gap, width, bottom - picture.top - height - gap)
    left = margin + width
    return Layout(unit, header, picture, people, Rect(left, top, width_px - left, bottom - top), bar)


def _fitted(width_px: float, height_px: float, aspect: float) -> tuple[float, float]:
    """The largest size of that aspect that fits, in whole pixels."""
    width = min(width_px, height_px * aspect)
    return max(round(width), 1), max(round(width / aspect), 1)
