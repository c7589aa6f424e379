"""Limbs as round cones: each is a rectangle, whose pixels get the shading and depth of a cone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from poselift.app.view.colours import SHADE
from poselift.app.view.drawing.quads import DEPTH, Quads

_VERTEX = """
uniform float u_pad;
attribute vec4 a_start;
attribute vec4 a_end;
attribute vec4 a_colour;
varying vec2 v_place;
varying vec4 v_start;
varying vec4 v_end;
varying vec4 v_colour;
void main() {
    vec2 along = a_end.xy - a_start.xy;
    float span = length(along);
    along = span > 0.001 ? along / span : vec2(1.0, 0.0);
    float reach = max(a_start.w, a_end.w) + u_pad;
    v_place = (a_corner.x < 0.0 ? a_start.xy : a_end.xy) + reach * (a_corner.x * along + a_corner.y * vec2(-along.y, along.x));
    v_start = a_start; v_end = a_end; v_colour = a_colour;
    gl_Position = at(v_place);
}
"""

_FRAGMENT = (
    DEPTH
    + """
uniform float u_focal;
uniform float u_rim;
uniform float u_round;
uniform vec3 u_shade;
varying vec2 v_place;
varying vec4 v_start;
varying vec4 v_end;
varying vec4 v_colour;
void main() {
    vec2 along = v_end.xy - v_start.xy;
    float share = clamp(dot(v_place - v_start.xy, along) / max(dot(along, along), 0.0001), 0.0, 1.0);
    vec4 axis = mix(v_start, v_end, share);
    vec2 off = v_place - axis.xy;
    float beyond = length(off) - axis.w;
    float cover = clamp(0.5 - (beyond - u_rim), 0.0, 1.0);
    if (cover <= 0.0 || axis.w <= 0.0) discard;
    float inside = clamp(0.5 - beyond, 0.0, 1.0);
    vec2 flat_normal = off / max(axis.w, 0.5);
    float towards = sqrt(max(1.0 - dot(flat_normal, flat_normal), 0.0));
    vec3 normal = vec3(flat_normal, -towards);
    float key = 0.5 + 0.5 * dot(normal, normalize(vec3(-0.45, -0.80, -0.55)));
    float fill = 0.5 + 0.5 * dot(normal, normalize(vec3(0.85, 0.10, -0.30)));
    float shine = pow(max(dot(normal, normalize(vec3(-0.38, -0.62, -0.92))), 0.0), 22.0);
    vec3 lit = v_colour.rgb * (0.30 + 0.68 * key * key + 0.16 * fill) + vec3(0.20) * shine;
    vec3 shown = mix(v_colour.rgb, lit, u_round);
    gl_FragColor = vec4(mix(u_shade, shown, inside), cover * v_colour.a);
    // The dark rim lies behind, so that limbs that meet are not cut apart by it.
    float back = inside > 0.0 ? -towards : 0.9;
    gl_FragDepth = depth_of(axis.z + back * axis.w / u_focal * axis.z);
}
"""
)


class SolidsProgram:
    """Draws solids in a scene, or flat lines with round ends."""

    def __init__(self) -> None:
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_start": 4, "a_end": 4, "a_colour": 4})

    def draw(
        self, start: npt.ArrayLike, end: npt.ArrayLike, colour: npt.ArrayLike, size: tuple[int, int], rim_px: float, focal_px: float = 0.0
    ) -> None:
        """Draw cones. `start`, `end`: float [N, 4] (x px, y px, depth, radius px), the furthest first; `colour`: float [N, 4].

        Without `focal_px` they are flat.
        """
        colours = np.asarray(colour, np.float32)
        records = self._quads.records(len(colours))
        records["a_start"], records["a_end"], records["a_colour"] = start, end, colours
        uniforms: dict[str, Any] = {"u_pad": rim_px + 1.5, "u_rim": rim_px, "u_shade": SHADE, "u_focal": focal_px or 1e9}
        self._quads.draw(records, size, u_round=1.0 if focal_px else 0.0, **uniforms)
