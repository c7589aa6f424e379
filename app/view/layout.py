"""Where everything is in a window of any size: margins, panels and type grow with it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from poselift.app.view.camera import Panel

WIDE = 1.1
"""A window narrower than this, in its heights, has the picture above the scene."""


class Layout(NamedTuple):
    """Places in the window, px from its top left corner."""

    unit: float
    """Length of a design pixel, px: 1 in a window of 1280x720."""
    head: Panel
    picture: Optional[Panel]
    """None where no picture is shown."""
    people: Panel
    """The list of who is tracked."""
    scene: Panel
    timeline: Optional[Panel]
    """None where there is none."""


def unit_of(width_px: int, height_px: int) -> float:
    """A little less than in proportion: on a large screen there may be more air."""
    return float(max(0.7, min(width_px / 1280, height_px / 720)) ** 0.85)


def arrange(width_px: int, height_px: int, picture_aspect: Optional[float], timeline: bool) -> Layout:
    """The layout of a window; `picture_aspect`: the picture's width by its height, None where none is shown."""
    unit = unit_of(width_px, height_px)
    margin, gap = 20 * unit, 16 * unit
    head = Panel(margin, 0, width_px - 2 * margin, 52 * unit)
    foot = (58 if timeline else 18) * unit
    top, bottom = head.height, height_px - foot
    line = Panel(margin, bottom, width_px - 2 * margin, foot) if timeline else None
    if picture_aspect is None:
        scene = Panel(0, top, width_px, bottom - top)
        return Layout(unit, head, None, Panel(margin, bottom - 80 * unit, 0.4 * width_px, 80 * unit), scene, line)
    if width_px < WIDE * height_px:
        size = _fitted(width_px - 2 * margin, 0.42 * (bottom - top), picture_aspect)
        picture = Panel((width_px - size[0]) / 2, top, *size)
        below = picture.top + picture.height
        people = Panel(margin, below + gap, width_px - 2 * margin, 40 * unit)
        return Layout(unit, head, picture, people, Panel(0, people.top, width_px, bottom - people.top), line)
    width, height = _fitted(0.545 * width_px - margin, bottom - top - 76 * unit, picture_aspect)
    spare = max(bottom - top - height - 76 * unit, 0)
    picture = Panel(margin, top + 0.42 * spare, width, height)
    people = Panel(margin, picture.top + height + gap, width, bottom - picture.top - height - gap)
    left = margin + width
    return Layout(unit, head, picture, people, Panel(left, top, width_px - left, bottom - top), line)


def _fitted(width_px: float, height_px: float, aspect: float) -> tuple[float, float]:
    """The largest size of that aspect within bounds, in whole pixels."""
    width = min(width_px, height_px * aspect)
    return max(round(width), 1), max(round(width / aspect), 1)
