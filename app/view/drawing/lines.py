"""Thin lines in the scene, each end with its own colour: trails and the real camera's frustum."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from poselift.app.view.drawing.quads import DEPTH, Quads

_VERTEX = """
attribute vec4 a_start;
attribute vec4 a_end;
attribute vec4 a_first;
attribute vec4 a_last;
varying float v_across;
varying float v_half;
varying float v_distance;
varying vec4 v_colour;
void main() {
    vec2 along = a_end.xy - a_start.xy;
    float span = length(along);
    along = span > 0.001 ? along / span : vec2(1.0, 0.0);
    vec4 here = a_corner.x < 0.0 ? a_start : a_end;
    v_half = here.w;
    v_across = a_corner.y * (here.w + 1.0);
    v_distance = here.z;
    v_colour = a_corner.x < 0.0 ? a_first : a_last;
    gl_Position = at(here.xy + v_across * vec2(-along.y, along.x));
}
"""

_FRAGMENT = (
    DEPTH
    + """
varying float v_across;
varying float v_half;
varying float v_distance;
varying vec4 v_colour;
void main() {
    float cover = clamp(0.5 + v_half - abs(v_across), 0.0, 1.0);
    gl_FragColor = vec4(v_colour.rgb, cover * v_colour.a);
    gl_FragDepth = depth_of(v_distance);
}
"""
)


class LinesProgram:
    """Draws all lines."""

    def __init__(self) -> None:
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_start": 4, "a_end": 4, "a_first": 4, "a_last": 4})

    def draw(self, start: npt.NDArray[Any], end: npt.NDArray[Any], colour: npt.NDArray[Any], size: tuple[int, int]) -> None:
        """Draw lines. `start`, `end`: float [N, 4] (x px, y px, depth, half the width px); `colour`: float [N, 2, 4]."""
        records = self._quads.records(len(start))
        records["a_start"], records["a_end"] = start, end
        records["a_first"], records["a_last"] = colour[:, 0], colour[:, 1]
        self._quads.draw(records, size)
