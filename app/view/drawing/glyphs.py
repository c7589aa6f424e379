"""Text: each letter is painted once, by Qt at the size it is shown, into one texture; a page of text is one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QImage, QPainter
from vispy import gloo

from poselift.app.view.drawing.quads import Quads
from poselift.app.view.page import SIZES, Label

FAMILIES = ("Inter", "Noto Sans", "Open Sans", "Cantarell", "Ubuntu", "DejaVu Sans")
SIDE_PX = 512
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
uniform sampler2D u_letters;
varying vec2 v_texture;
varying vec4 v_colour;
void main() { gl_FragColor = vec4(v_colour.rgb, v_colour.a * texture2D(u_letters, v_texture).r); }
"""


class _Letter(NamedTuple):
    left: int
    top: int
    width: int
    height: int
    ascent: int


class GlyphsProgram:
    """Letters of every style, for one size of window; another size needs another one."""

    def __init__(self, unit: float) -> None:
        self.unit = unit
        there = set(QFontDatabase.families())
        family = next((name for name in FAMILIES if name in there), "sans-serif")
        self._fonts, self._metrics, self._figure = {}, {}, {}
        for style, (size, bold) in SIZES.items():
            font = QFont(family)
            font.setPixelSize(max(round(size * unit), 7))
            font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
            font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
            self._fonts[style], self._metrics[style] = font, QFontMetricsF(font)
            self._figure[style] = max(self._metrics[style].horizontalAdvance(figure) for figure in "0123456789")
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_panel": 4, "a_source": 2, "a_colour": 4})
        self._letters: dict[tuple[str, str], _Letter] = {}
        self._advances: dict[tuple[str, str], float] = {}
        self._side, self._shelf, self._changed = SIDE_PX, 0, False
        self._at = [0, 0]
        self._empty()

    def width(self, text: str, style: str) -> float:
        """How wide a text is, px."""
        return sum(self._advance(letter, style) for letter in text)

    def draw(self, labels: Sequence[Label], size: tuple[int, int]) -> None:
        """All of them."""
        wanted = {(label.style, letter) for label in labels for letter in label.text}
        for style, symbol in sorted(wanted - self._letters.keys()):
            self._paint(style, symbol)
        if self._changed:
            self._texture.set_data(self._pixels)
            self._changed = False
        rows: list[tuple[float, ...]] = []
        for label in labels:
            shift = {"left": 0.0, "right": 1.0, "centre": 0.5}[label.align] * self.width(label.text, label.style)
            x = label.x - shift
            for symbol in label.text:
                letter = self._letters[label.style, symbol]
                place = (round(x) - PAD_PX, round(label.baseline) - letter.ascent, letter.width, letter.height)
                rows.append((*place, letter.left, letter.top, *label.colour, label.solid))
                x += self._advance(symbol, label.style)
        records = self._quads.records(len(rows))
        table = np.array(rows, np.float32).reshape(-1, 10)
        records["a_panel"], records["a_source"], records["a_colour"] = table[:, :4], table[:, 4:6], table[:, 6:]
        self._quads.draw(records, size, u_side=float(self._side))

    def _advance(self, letter: str, style: str) -> float:
        """Figures are all of one width: what changes does not tremble."""
        known = self._advances.get((style, letter))
        if known is None:
            known = self._figure[style] if letter.isdigit() else self._metrics[style].horizontalAdvance(letter)
            self._advances[style, letter] = known
        return known

    def _paint(self, style: str, symbol: str) -> None:
        metrics = self._metrics[style]
        ascent = int(np.ceil(metrics.ascent())) + PAD_PX
        width = int(np.ceil(max(metrics.horizontalAdvance(symbol), metrics.boundingRect(symbol).right()))) + 2 * PAD_PX
        height = ascent + int(np.ceil(metrics.descent())) + PAD_PX
        if self._at[0] + width > self._side:
            self._at = [0, self._at[1] + self._shelf]
            self._shelf = 0
        if self._at[1] + height > self._side:
            self._again(style, symbol)
            return
        image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        painter.setFont(self._fonts[style])
        painter.setPen(QColor("white"))
        painter.drawText(PAD_PX, ascent, symbol)
        painter.end()
        pixels: Any = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine() // 4, 4)
        left, top = self._at
        self._pixels[top : top + height, left : left + width] = pixels[:, :width, 3]
        self._letters[style, symbol] = _Letter(left, top, width, height, ascent)
        self._at[0] += width
        self._shelf = max(self._shelf, height)
        self._changed = True

    def _again(self, style: str, symbol: str) -> None:
        """The texture is full: a larger one."""
        known = [*self._letters, (style, symbol)]
        self._letters.clear()
        self._side *= 2
        self._empty()
        for key in known:
            self._paint(*key)

    def _empty(self) -> None:
        self._pixels = np.zeros((self._side, self._side), np.uint8)
        self._texture: Any = gloo.Texture2D(self._pixels, interpolation="linear", internalformat="luminance", format="luminance")
        self._quads.program["u_letters"] = self._texture
        self._at, self._shelf, self._changed = [0, 0], 0, True
