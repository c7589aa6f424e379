"""The camera's picture, with round corners."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from vispy import gloo

from poselift.app.view.colours import SHADE
from poselift.app.view.decoder import Rgba
from poselift.app.view.drawing.quads import Quads
from poselift.app.view.layout import Rect

_VERTEX = """
uniform vec4 u_panel;
varying vec2 v_off;
varying vec2 v_texture;
void main() {
    v_off = a_corner * u_panel.zw * 0.5;
    v_texture = 0.5 + 0.5 * a_corner;
    gl_Position = at(u_panel.xy + u_panel.zw * 0.5 + v_off);
}
"""

_FRAGMENT = """
uniform sampler2D u_picture;
uniform vec4 u_panel;
uniform float u_radius;
uniform float u_light;
varying vec2 v_off;
varying vec2 v_texture;
void main() {
    vec2 corner = abs(v_off) - u_panel.zw * 0.5 + u_radius;
    float beyond = length(max(corner, 0.0)) - u_radius;
    gl_FragColor = vec4(u_light * texture2D(u_picture, v_texture).rgb, clamp(0.5 - beyond, 0.0, 1.0));
}
"""

_PLAIN: Rgba = np.full((2, 2, 4), [*(round(255 * value) for value in SHADE), 255], np.uint8)


class PictureProgram:
    """Keeps the picture on the graphics card."""

    def __init__(self) -> None:
        self._quads = Quads(_VERTEX, _FRAGMENT, {})
        self._texture: Any = None
        self._shape: Optional[tuple[int, ...]] = None

    def set(self, picture: Optional[Rgba]) -> None:
        """Set another picture, or None for a plain dark one. It must not be changed before it is drawn."""
        shown: Rgba = _PLAIN if picture is None else picture
        if shown.shape != self._shape:
            self._texture = gloo.Texture2D(shown, interpolation="linear", wrapping="clamp_to_edge")
            self._quads.program["u_picture"] = self._texture
            self._shape = shown.shape
        else:
            self._texture.set_data(shown)

    def draw(self, panel: Rect, radius_px: float, light: float, size: tuple[int, int]) -> None:
        """Draw the picture into `panel`; `light`: its brightness, 1 as it is."""
        if self._texture is None:
            self.set(None)
        self._quads.draw(self._quads.records(1), size, u_panel=tuple(panel), u_radius=radius_px, u_light=light)
