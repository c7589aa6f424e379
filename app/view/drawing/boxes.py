"""Boxes with round corners: dots, bars, the card behind a text."""

from __future__ import annotations

from collections.abc import Sequence

from poselift.app.view.drawing.quads import Quads
from poselift.app.view.hud import Box

_VERTEX = """
attribute vec4 a_panel;
attribute float a_radius;
attribute vec4 a_colour;
varying vec2 v_off;
varying vec2 v_half;
varying float v_radius;
varying vec4 v_colour;
void main() {
    v_half = 0.5 * a_panel.zw; v_radius = a_radius; v_colour = a_colour;
    v_off = a_corner * (v_half + 1.0);
    gl_Position = at(a_panel.xy + v_half + v_off);
}
"""

_FRAGMENT = """
varying vec2 v_off;
varying vec2 v_half;
varying float v_radius;
varying vec4 v_colour;
void main() {
    vec2 corner = abs(v_off) - v_half + v_radius;
    float beyond = length(max(corner, 0.0)) + min(max(corner.x, corner.y), 0.0) - v_radius;
    gl_FragColor = vec4(v_colour.rgb, v_colour.a * clamp(0.5 - beyond, 0.0, 1.0));
}
"""


class BoxesProgram:
    """Draws all boxes."""

    def __init__(self) -> None:
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_panel": 4, "a_radius": 1, "a_colour": 4})

    def draw(self, boxes: Sequence[Box], size: tuple[int, int]) -> None:
        """Draw the boxes, the first one at the bottom."""
        records = self._quads.records(len(boxes))
        for record, box in zip(records, boxes):
            record["a_panel"], record["a_radius"], record["a_colour"] = tuple(box.rect), box.radius, (*box.colour, box.alpha)
        self._quads.draw(records, size)
