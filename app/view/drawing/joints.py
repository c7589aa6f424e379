"""Joints over the limbs: a bright core, and around it a halo that ends in a thin ring at one standard deviation."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from poselift.app.view.drawing.quads import DEPTH, Quads

_VERTEX = """
uniform float u_line;
attribute vec3 a_position;
attribute vec2 a_radii;
attribute vec4 a_core;
attribute vec4 a_halo;
varying vec2 v_off;
varying float v_distance;
varying vec2 v_radii;
varying vec4 v_core;
varying vec4 v_halo;
void main() {
    v_off = a_corner * (max(a_radii.x, a_radii.y) + 2.0 * u_line + 1.0);
    v_distance = a_position.z; v_radii = a_radii; v_core = a_core; v_halo = a_halo;
    gl_Position = at(a_position.xy + v_off);
}
"""

_FRAGMENT = (
    DEPTH
    + """
uniform float u_line;
varying vec2 v_off;
varying float v_distance;
varying vec2 v_radii;
varying vec4 v_core;
varying vec4 v_halo;
void main() {
    float reach = length(v_off);
    float core = clamp(0.5 - (reach - v_radii.x), 0.0, 1.0) * v_core.a;
    float wide = step(0.5, v_radii.y);
    float halo = wide * 0.13 * clamp(0.5 - (reach - v_radii.y), 0.0, 1.0);
    float ring = wide * 0.50 * clamp(0.5 + 0.5 * u_line - abs(reach - v_radii.y), 0.0, 1.0);
    float around = max(halo, ring) * v_halo.a;
    float cover = core + (1.0 - core) * around;
    if (cover <= 0.002) discard;
    vec3 light = v_core.rgb * (1.0 - 0.16 * reach / max(v_radii.x, 0.5));
    gl_FragColor = vec4(mix(v_halo.rgb, light, core / cover), cover);
    gl_FragDepth = depth_of(v_distance);
}
"""
)


class JointsProgram:
    """Draws joints."""

    def __init__(self) -> None:
        self._quads = Quads(_VERTEX, _FRAGMENT, {"a_position": 3, "a_radii": 2, "a_core": 4, "a_halo": 4})

    def draw(
        self,
        positions: npt.NDArray[Any],
        radii: npt.ArrayLike,
        core: npt.ArrayLike,
        halo: npt.ArrayLike,
        size: tuple[int, int],
        line_px: float,
    ) -> None:
        """Draw joints at `positions`, float [N, 3]: x px, y px, depth; the furthest first. `radii`: float [N, 2] px, of core and halo."""
        records = self._quads.records(len(positions))
        records["a_position"], records["a_radii"], records["a_core"], records["a_halo"] = positions, radii, core, halo
        self._quads.draw(records, size, u_line=line_px)
