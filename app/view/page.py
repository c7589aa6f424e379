"""What is written over the panels, as boxes and lines of text: the head-up line, who is tracked, the time line, the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

from poselift.app.view.camera import Panel
from poselift.app.view.colours import BACKGROUND, BRIGHT, FLOOR, RECORDING, SHADE, TEXT, Rgb, colour_of
from poselift.app.view.layout import Layout
from poselift.app.view.words import KEYS, Facts, Tracked, figures, state

SIZES: dict[str, tuple[float, bool]] = {"title": (15.5, True), "text": (14.0, False), "strong": (14.0, True), "small": (12.0, False)}
"""Styles: height of the type in design pixels, and whether it is bold."""


class Box(NamedTuple):
    """A box with round corners."""

    place: Panel
    radius: float
    colour: Rgb
    solid: float = 1.0


class Label(NamedTuple):
    """A line of text."""

    text: str
    x: float
    """Its beginning, middle or end, as `align` says."""
    baseline: float
    style: str = "text"
    colour: Rgb = TEXT
    solid: float = 1.0
    align: str = "left"


class Page(NamedTuple):
    """Everything: boxes first, labels upon them."""

    boxes: list[Box]
    labels: list[Label]


class Line(NamedTuple):
    """The time line."""

    share: float
    """How far it is, 0 to 1."""
    before: str
    after: str
    running: bool


Width = Callable[[str, str], float]
"""How wide a text is in a style, px."""


def compose(layout: Layout, facts: Facts, people: Sequence[Tracked], line: Optional[Line], keys: bool, width: Width) -> Page:
    """The whole page."""
    page = Page([], [])
    _head(page, layout, facts, width)
    if not keys:
        _people(page, layout, people, width)
    if line and layout.timeline:
        _timeline(page, layout.timeline, layout.unit, line)
    if facts.says:
        _saying(page, layout, facts.says, width)
    if keys:
        _keys(page, layout)
    return page


def track(timeline: Panel, unit: float) -> Panel:
    """The bar of the time line."""
    side = 86 * unit
    return Panel(timeline.left + side, timeline.top + timeline.height / 2 - 2 * unit, timeline.width - 2 * side, 4 * unit)


def _head(page: Page, layout: Layout, facts: Facts, width: Width) -> None:
    unit, head = layout.unit, layout.head
    baseline = head.top + head.height / 2 + 5.5 * unit
    dot = 9 * unit
    words, colour = state(facts)
    page.boxes.append(Box(Panel(head.left, baseline - 5.2 * unit - dot / 2, dot, dot), dot / 2, colour))
    x = head.left + dot + 10 * unit
    end = head.left + head.width
    if facts.recording:
        text = f"REC  {facts.recording}"
        page.labels.append(Label(text, end, baseline, "strong", BRIGHT, 1.0, "right"))
        end -= width(text, "strong") + 10 * unit + dot
        page.boxes.append(Box(Panel(end, baseline - 5.2 * unit - dot / 2, dot, dot), dot / 2, RECORDING))
        end -= 22 * unit
    for text, style, tint in ((facts.source, "title", BRIGHT), (words, "text", colour)):
        fitting = _cut(text, style, end - x, width)
        page.labels.append(Label(fitting, x, baseline, style, tint))
        x += width(fitting, style) + 16 * unit
    for value, name in figures(facts):
        wide = width(value, "strong") + 6 * unit + width(name, "text")
        if end - wide < x + 12 * unit:  # a small window shows the first ones
            break
        page.labels.append(Label(name, end, baseline, "text", TEXT, 0.85, "right"))
        page.labels.append(Label(value, end - width(name, "text") - 6 * unit, baseline, "strong", BRIGHT, 1.0, "right"))
        end -= wide + 22 * unit


def _cut(text: str, style: str, room: float, width: Width) -> str:
    if width(text, style) <= room:
        return text
    while text and width(text + "…", style) > room:
        text = text[:-1]
    return text + "…" if text else ""


def _people(page: Page, layout: Layout, people: Sequence[Tracked], width: Width) -> None:
    unit, place = layout.unit, layout.people
    row, chip = 25 * unit, 10 * unit
    y = place.top + 9 * unit
    rows = max(int((place.height - 6 * unit) // row), 1)
    shown = people if len(people) <= rows else people[: rows - 1]
    for who in shown:
        colour = colour_of(who.person)
        if who.followed:
            page.boxes.append(Box(Panel(place.left - 4 * unit, y - 12.5 * unit, place.width + 4 * unit, row), 6 * unit, FLOOR, 0.11))
        page.boxes.append(Box(Panel(place.left + 3 * unit, y - chip / 2, chip, chip), chip / 2, colour, 0.35 if who.grey else 1.0))
        baseline = y + 4.8 * unit
        page.labels.append(Label(who.name, place.left + 22 * unit, baseline, "strong", BRIGHT, 0.6 if who.grey else 1.0))
        x = place.left + 22 * unit + max(width(who.name, "strong"), 92 * unit) + 14 * unit
        for text in who.words:
            wide = width(text, "text")
            if x + wide > place.left + place.width:
                break
            page.labels.append(Label(text, x, baseline, "text", TEXT, 0.6 if who.grey else 1.0))
            x += max(wide, 106 * unit) + 12 * unit
        y += row
    if len(shown) < len(people):
        page.labels.append(Label(f"and {len(people) - len(shown)} more", place.left + 22 * unit, y + 4.8 * unit, "text", TEXT, 0.8))


def _timeline(page: Page, place: Panel, unit: float, line: Line) -> None:
    bar = track(place, unit)
    middle = place.top + place.height / 2
    baseline = middle + 5 * unit
    page.boxes.append(Box(bar, bar.height / 2, FLOOR, 0.28))
    page.boxes.append(Box(bar._replace(width=max(bar.width * line.share, bar.height)), bar.height / 2, BRIGHT, 0.75))
    knob = 13 * unit
    page.boxes.append(Box(Panel(bar.left + bar.width * line.share - knob / 2, middle - knob / 2, knob, knob), knob / 2, BRIGHT))
    page.labels.append(Label(line.before, bar.left - 16 * unit, baseline, "text", BRIGHT, 1.0, "right"))
    page.labels.append(Label(line.after, bar.left + bar.width + 16 * unit, baseline, "text", TEXT, 0.85))
    icon = place.left + 1 * unit
    if line.running:
        page.boxes.extend(Box(Panel(icon + x * unit, middle - 5.5 * unit, 3.4 * unit, 11 * unit), 1.2 * unit, BRIGHT) for x in (0, 6.2))
    else:
        page.labels.append(Label("▶", icon, baseline, "text", BRIGHT))


def _saying(page: Page, layout: Layout, text: str, width: Width) -> None:
    """A line in the middle of the scene, such as an answer or what is waited for."""
    unit, scene = layout.unit, layout.scene
    fitting = _cut(text, "text", scene.width - 60 * unit, width)
    wide, high = width(fitting, "text") + 36 * unit, 36 * unit
    middle, top = scene.left + scene.width / 2, scene.top + scene.height - 62 * unit
    page.boxes.append(Box(Panel(middle - wide / 2, top, wide, high), high / 2, SHADE, 0.82))
    page.labels.append(Label(fitting, middle, top + high / 2 + 5 * unit, "text", BRIGHT, 1.0, "centre"))


def _keys(page: Page, layout: Layout) -> None:
    unit = layout.unit
    whole_width = layout.head.left * 2 + layout.head.width
    whole_height = layout.scene.top + layout.scene.height + (layout.timeline.height if layout.timeline else 18 * unit)
    row = 27 * unit
    wide, high = min(480 * unit, whole_width), (len(KEYS) + 1) * row + 40 * unit
    left, top = (whole_width - wide) / 2, max((whole_height - high) / 2, 0)
    page.boxes.append(Box(Panel(0, 0, whole_width, whole_height), 0, SHADE, 0.62))
    page.boxes.append(Box(Panel(left - unit, top - unit, wide + 2 * unit, high + 2 * unit), 15 * unit, FLOOR, 0.35))
    page.boxes.append(Box(Panel(left, top, wide, high), 14 * unit, BACKGROUND, 1.0))
    y = top + 40 * unit
    page.labels.append(Label("Keys", left + 28 * unit, y, "title", BRIGHT))
    for key, what in KEYS:
        y += row
        page.labels.append(Label(key, left + 28 * unit, y, "strong", BRIGHT))
        page.labels.append(Label(what, left + 138 * unit, y, "text", TEXT))
