"""Text. Qt paints each glyph once, at the size at which it is shown, into one texture; all text is drawn in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QImage, QPainter
from vispy import gloo

from poselift.app.view.drawing.quads import Quads
from poselift.app.view.hud import SIZES, Label

FAMILIES = ("Inter", "Noto Sans", "Open Sans", "Cantarell", "Ubuntu", "DejaVu Sans")
SIDE_PX = 512
"""Of the texture, at first."""
PAD_PX = 2

_VERTEX = """
uniform float u_side;
attribute vec4 a_panel;
attribute vec2 a_source;
attribute vec4 a_colour;
varying vec2 v_texture;
varying vec4 v_colour;
void main() {
    vec2 off = 0.5 + 0.5 * a_corner;
    v_texture = (a_source + off * a_panel.zw) / u_side;
    v_colour = a_colour;
    gl_Position = at(a_panel.xy + off * a_panel.zw);
}
"""

_FRAGMENT = """
uniform sampler2D u_glyphs;
varying vec2 v_texture;
varying vec4 v_colour;
void main() { gl_FragColor = vec4(v_colour.rgb, v_colour.a * texture2D(u_glyphs, v_texture).r); }
"""


class _Glyph(NamedTuple):
    left: int
    top: int
    width: int
    height: int
    ascent: int


class GlyphsProgram:
    """The glyphs for one scale (`Layout.unit`) of the window."""

    def __init__(self, unit: float) -> None:
        self.unit = unit
        installed = set(QFontDatabase.families())
        family = next((name for name in FAMILIES if name in installed), "sans-serif")
        self._fonts, self._metrics, self._digit_width = {}, {}, {}
        for style, (size, bold) in SIZES.items():
            font = QFont(family)
            font.setPixelSize(max(round(size * unit), 7))
            font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
            font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
            self._fonts[style], self._metrics[style] = font, QFontMetricsF(font)
            self._digit_width[style] = max(self._metrics[style].horizontalAdvance(digit) for digit in "0123456789")
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_panel": 4, "a_source": 2, "a_colour": 4})
        self._glyphs: dict[tuple[str, str], _Glyph] = {}
        self._advances: dict[tuple[str, str], float] = {}
        self._side, self._row_height, self._changed = SIDE_PX, 0, False
        self._next = [0, 0]
        self._empty()

    def width(self, text: str, style: str) -> float:
        """The width of a text, px."""
        return sum(self._advance(character, style) for character in text)

    def draw(self, labels: Sequence[Label], size: tuple[int, int]) -> None:
        """Draw the labels."""
        wanted = {(label.style, character) for label in labels for character in label.text}
        for style, character in sorted(wanted - self._glyphs.keys()):
            self._paint(style, character)
        if self._changed:
            self._texture.set_data(self._pixels)
            self._changed = False
        rows: list[tuple[float, ...]] = []
        for label in labels:
            shift = {"left": 0.0, "right": 1.0, "centre": 0.5}[label.align] * self.width(label.text, label.style)
            x = label.x - shift
            for character in label.text:
                glyph = self._glyphs[label.style, character]
                place = (round(x) - PAD_PX, round(label.baseline) - glyph.ascent, glyph.width, glyph.height)
                rows.append((*place, glyph.left, glyph.top, *label.colour, label.alpha))
                x += self._advance(character, label.style)
        records = self._quads.records(len(rows))
        table = np.array(rows, np.float32).reshape(-1, 10)
        records["a_panel"], records["a_source"], records["a_colour"] = table[:, :4], table[:, 4:6], table[:, 6:]
        self._quads.draw(records, size, u_side=float(self._side))

    def _advance(self, character: str, style: str) -> float:
        """A glyph's width. Digits all have the same, so that a number that changes stays in its place."""
        known = self._advances.get((style, character))
        if known is None:
            known = self._digit_width[style] if character.isdigit() else self._metrics[style].horizontalAdvance(character)
            self._advances[style, character] = known
        return known

    def _paint(self, style: str, character: str) -> None:
        metrics = self._metrics[style]
        ascent = int(np.ceil(metrics.ascent())) + PAD_PX
        width = int(np.ceil(max(metrics.horizontalAdvance(character), metrics.boundingRect(character).right()))) + 2 * PAD_PX
        height = ascent + int(np.ceil(metrics.descent())) + PAD_PX
        if self._next[0] + width > self._side:
            self._next = [0, self._next[1] + self._row_height]
            self._row_height = 0
        if self._next[1] + height > self._side:
            self._enlarge(style, character)
            return
        image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        painter.setFont(self._fonts[style])
        painter.setPen(QColor("white"))
        painter.drawText(PAD_PX, ascent, character)
        painter.end()
        pixels: Any = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine() // 4, 4)
        left, top = self._next
        self._pixels[top : top + height, left : left + width] = pixels[:, :width, 3]
        self._glyphs[style, character] = _Glyph(left, top, width, height, ascent)
        self._next[0] += width
        self._row_height = max(self._row_height, height)
        self._changed = True

    def _enlarge(self, style: str, character: str) -> None:
        """The texture is full: paint all glyphs into a larger one."""
        known = [*self._glyphs, (style, character)]
        self._glyphs.clear()
        self._side *= 2
        self._empty()
        for key in known:
            self._paint(*key)

    def _empty(self) -> None:
        self._pixels = np.zeros((self._side, self._side), np.uint8)
        self._texture: Any = gloo.Texture2D(self._pixels, interpolation="linear", internalformat="luminance", format="luminance")
        self._quads.program["u_glyphs"] = self._texture
        self._next, self._row_height, self._changed = [0, 0], 0, True
