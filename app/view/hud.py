"""The head-up display over picture and scene, as boxes and lines of text: header, list of people, seek bar, keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

from poselift.app.view.colours import BACKGROUND, BRIGHT, FLOOR, RECORDING, SHADE, TEXT, Rgb, colour_of
from poselift.app.view.hud_text import KEYS, HudData, PersonRow, metrics, status_text
from poselift.app.view.layout import Layout, Rect

SIZES: dict[str, tuple[float, bool]] = {"title": (15.5, True), "text": (14.0, False), "strong": (14.0, True), "small": (12.0, False)}
"""Styles: height of the type in design pixels, and whether it is bold."""


class Box(NamedTuple):
    """A box with round corners."""

    rect: Rect
    radius: float
    colour: Rgb
    alpha: float = 1.0


class Label(NamedTuple):
    """A line of text."""

    text: str
    x: float
    """The position of its beginning, middle or end, as `align` says."""
    baseline: float
    style: str = "text"
    colour: Rgb = TEXT
    alpha: float = 1.0
    align: str = "left"


class Hud(NamedTuple):
    """What is drawn: the boxes, then the labels on them."""

    boxes: list[Box]
    labels: list[Label]


class SeekBar(NamedTuple):
    """The state of the seek bar."""

    progress: float
    """0 to 1."""
    left_text: str
    right_text: str
    playing: bool


Width = Callable[[str, str], float]
"""The width of a text in a style, px."""


def compose(layout: Layout, data: HudData, people: Sequence[PersonRow], seek_bar: Optional[SeekBar], show_keys: bool, width: Width) -> Hud:
    """The whole head-up display."""
    hud = Hud([], [])
    _header(hud, layout, data, width)
    if not show_keys:
        _people(hud, layout, people, width)
    if seek_bar and layout.seek_bar:
        _seek_bar(hud, layout.seek_bar, layout.unit, seek_bar)
    if data.notice:
        _notice(hud, layout, data.notice, width)
    if show_keys:
        _keys(hud, layout)
    return hud


def seek_bar_track(seek_bar: Rect, unit: float) -> Rect:
    """The bar itself, without the texts beside it."""
    side = 86 * unit
    return Rect(seek_bar.left + side, seek_bar.top + seek_bar.height / 2 - 2 * unit, seek_bar.width - 2 * side, 4 * unit)


def _header(hud: Hud, layout: Layout, data: HudData, width: Width) -> None:
    unit, header = layout.unit, layout.header
    baseline = header.top + header.height / 2 + 5.5 * unit
    dot = 9 * unit
    status, colour = status_text(data)
    hud.boxes.append(Box(Rect(header.left, baseline - 5.2 * unit - dot / 2, dot, dot), dot / 2, colour))
    x = header.left + dot + 10 * unit
    end = header.left + header.width
    if data.recording:
        text = f"REC  {data.recording}"
        hud.labels.append(Label(text, end, baseline, "strong", BRIGHT, 1.0, "right"))
        end -= width(text, "strong") + 10 * unit + dot
        hud.boxes.append(Box(Rect(end, baseline - 5.2 * unit - dot / 2, dot, dot), dot / 2, RECORDING))
        end -= 22 * unit
    for text, style, tint in ((data.source, "title", BRIGHT), (status, "text", colour)):
        fitting = _cut(text, style, end - x, width)
        hud.labels.append(Label(fitting, x, baseline, style, tint))
        x += width(fitting, style) + 16 * unit
    for value, name in metrics(data):
        wide = width(value, "strong") + 6 * unit + width(name, "text")
        if end - wide < x + 12 * unit:  # a small window has room for the first ones only
            break
        hud.labels.append(Label(name, end, baseline, "text", TEXT, 0.85, "right"))
        hud.labels.append(Label(value, end - width(name, "text") - 6 * unit, baseline, "strong", BRIGHT, 1.0, "right"))
        end -= wide + 22 * unit


def _cut(text: str, style: str, room: float, width: Width) -> str:
    if width(text, style) <= room:
        return text
    while text and width(text + "…", style) > room:
        text = text[:-1]
    return text + "…" if text else ""


def _people(hud: Hud, layout: Layout, people: Sequence[PersonRow], width: Width) -> None:
    unit, rect = layout.unit, layout.people
    row_height, dot = 25 * unit, 10 * unit
    y = rect.top + 9 * unit
    rows = max(int((rect.height - 6 * unit) // row_height), 1)
    shown = people if len(people) <= rows else people[: rows - 1]
    for row in shown:
        colour = colour_of(row.person)
        if row.followed:
            hud.boxes.append(Box(Rect(rect.left - 4 * unit, y - 12.5 * unit, rect.width + 4 * unit, row_height), 6 * unit, FLOOR, 0.11))
        hud.boxes.append(Box(Rect(rect.left + 3 * unit, y - dot / 2, dot, dot), dot / 2, colour, 0.35 if row.grey else 1.0))
        baseline = y + 4.8 * unit
        hud.labels.append(Label(row.name, rect.left + 22 * unit, baseline, "strong", BRIGHT, 0.6 if row.grey else 1.0))
        x = rect.left + 22 * unit + max(width(row.name, "strong"), 92 * unit) + 14 * unit
        for text in row.details:
            wide = width(text, "text")
            if x + wide > rect.left + rect.width:
                break
            hud.labels.append(Label(text, x, baseline, "text", TEXT, 0.6 if row.grey else 1.0))
            x += max(wide, 106 * unit) + 12 * unit
        y += row_height
    if len(shown) < len(people):
        hud.labels.append(Label(f"and {len(people) - len(shown)} more", rect.left + 22 * unit, y + 4.8 * unit, "text", TEXT, 0.8))


def _seek_bar(hud: Hud, rect: Rect, unit: float, state: SeekBar) -> None:
    bar = seek_bar_track(rect, unit)
    middle = rect.top + rect.height / 2
    baseline = middle + 5 * unit
    hud.boxes.append(Box(bar, bar.height / 2, FLOOR, 0.28))
    hud.boxes.append(Box(bar._replace(width=max(bar.width * state.progress, bar.height)), bar.height / 2, BRIGHT, 0.75))
    knob = 13 * unit
    hud.boxes.append(Box(Rect(bar.left + bar.width * state.progress - knob / 2, middle - knob / 2, knob, knob), knob / 2, BRIGHT))
    hud.labels.append(Label(state.left_text, bar.left - 16 * unit, baseline, "text", BRIGHT, 1.0, "right"))
    hud.labels.append(Label(state.right_text, bar.left + bar.width + 16 * unit, baseline, "text", TEXT, 0.85))
    icon = rect.left + 1 * unit
    if state.playing:
        hud.boxes.extend(Box(Rect(icon + x * unit, middle - 5.5 * unit, 3.4 * unit, 11 * unit), 1.2 * unit, BRIGHT) for x in (0, 6.2))
    else:
        hud.labels.append(Label("▶", icon, baseline, "text", BRIGHT))


def _notice(hud: Hud, layout: Layout, text: str, width: Width) -> None:
    """A line in the lower part of the scene."""
    unit, scene = layout.unit, layout.scene
    fitting = _cut(text, "text", scene.width - 60 * unit, width)
    wide, high = width(fitting, "text") + 36 * unit, 36 * unit
    middle, top = scene.left + scene.width / 2, scene.top + scene.height - 62 * unit
    hud.boxes.append(Box(Rect(middle - wide / 2, top, wide, high), high / 2, SHADE, 0.82))
    hud.labels.append(Label(fitting, middle, top + high / 2 + 5 * unit, "text", BRIGHT, 1.0, "centre"))


def _keys(hud: Hud, layout: Layout) -> None:
    unit = layout.unit
    whole_width = layout.header.left * 2 + layout.header.width
    whole_height = layout.scene.top + layout.scene.height + (layout.seek_bar.height if layout.seek_bar else 18 * unit)
    row = 27 * unit
    wide, high = min(480 * unit, whole_width), (len(KEYS) + 1) * row + 40 * unit
    left, top = (whole_width - wide) / 2, max((whole_height - high) / 2, 0)
    hud.boxes.append(Box(Rect(0, 0, whole_width, whole_height), 0, SHADE, 0.62))
    hud.boxes.append(Box(Rect(left - unit, top - unit, wide + 2 * unit, high + 2 * unit), 15 * unit, FLOOR, 0.35))
    hud.boxes.append(Box(Rect(left, top, wide, high), 14 * unit, BACKGROUND, 1.0))
    y = top + 40 * unit
    hud.labels.append(Label("Keys", left + 28 * unit, y, "title", BRIGHT))
    for key, what in KEYS:
        y += row
        hud.labels.append(Label(key, left + 28 * unit, y, "strong", BRIGHT))
        hud.labels.append(Label(what, left + 138 * unit, y, "text", TEXT))
