"""The ground: a grid of half metres in a pool of light, and people's shadows on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from poselift.app.view.colours import BACKGROUND, FLOOR, SHADE
from poselift.app.view.drawing.quads import Quads
from poselift.app.view.layout import Rect
from poselift.app.view.orbit_camera import OrbitCamera, axes, focal_px, position, project

_VERTEX = """
uniform vec4 u_panel;
varying vec2 v_place;
void main() {
    v_place = u_panel.xy + u_panel.zw * (0.5 + 0.5 * a_corner);
    gl_Position = at(v_place);
}
"""

_FRAGMENT = """
uniform vec2 u_middle;
uniform float u_focal;
uniform vec3 u_eye;
uniform vec3 u_right;
uniform vec3 u_down;
uniform vec3 u_forward;
uniform float u_ground;
uniform vec2 u_centre;
uniform float u_reach;
uniform float u_line;
uniform vec3 u_back;
uniform vec3 u_floor;
uniform vec4 u_panel;
varying vec2 v_place;
float grid(vec2 place, vec2 wide, float every) {
    vec2 off = abs(fract(place / every + 0.5) - 0.5) * every;
    vec2 line = clamp(0.5 + 0.5 * u_line - off / max(wide, vec2(0.00001)), 0.0, 1.0);
    vec2 dense = clamp(1.4 - 3.0 * wide / every, 0.0, 1.0);
    return max(line.x * dense.x, line.y * dense.y);
}
void main() {
    vec2 aside = (v_place - u_middle) / u_focal;
    vec3 ray = u_right * aside.x + u_down * aside.y + u_forward;
    float away = (u_ground - u_eye.y) / ray.y;
    vec2 place = u_eye.xz + away * ray.xz;
    vec2 wide = fwidth(place);
    vec3 colour = u_back;
    float far = length(place - u_centre) / u_reach;
    float across = (v_place.x - u_panel.x) / u_panel.z;
    float aisle = smoothstep(0.0, 0.22, across) * smoothstep(0.0, 0.06, 1.0 - across);
    if (away > 0.0 && far < 1.3) {
        float pool = aisle * exp(-2.1 * far * far);
        float edge = sqrt(aisle) * clamp(1.15 - far, 0.0, 1.0);
        colour += u_floor * (0.105 * pool);
        colour += u_floor * edge * edge * (0.20 * grid(place, wide, 0.5) + 0.16 * grid(place, wide, 2.5));
    }
    float noise = fract(52.9829189 * fract(dot(floor(v_place), vec2(0.06711056, 0.00583715))));
    gl_FragColor = vec4(colour + (noise - 0.5) / 255.0, 1.0);
}
"""

_SHADOW_VERTEX = """
attribute vec4 a_clip0;
attribute vec4 a_clip1;
attribute vec4 a_clip2;
attribute vec4 a_clip3;
attribute vec3 a_shape;
varying vec2 v_off;
varying vec3 v_shape;
void main() {
    vec4 clip = a_corner.y < 0.0 ? (a_corner.x < 0.0 ? a_clip0 : a_clip1) : (a_corner.x < 0.0 ? a_clip3 : a_clip2);
    v_off = vec2(a_corner.x < 0.0 ? -a_shape.y : a_shape.x + a_shape.y, a_corner.y * a_shape.y);
    v_shape = a_shape;
    vec4 place = at(clip.xy);
    gl_Position = vec4(place.xy * clip.z, 0.0, clip.z);
}
"""

_SHADOW_FRAGMENT = """
uniform vec3 u_shade;
varying vec2 v_off;
varying vec3 v_shape;
void main() {
    float along = clamp(v_off.x, 0.0, v_shape.x);
    float far = length(v_off - vec2(along, 0.0)) / max(v_shape.y, 0.001);
    float soft = clamp(1.0 - far, 0.0, 1.0);
    gl_FragColor = vec4(u_shade, v_shape.z * soft * soft * (3.0 - 2.0 * soft));
}
"""
_DARK = 0.34


class FloorProgram:
    """Draws the panel's background with the ground in it, then shadows."""

    def __init__(self) -> None:
        self._ground = Quads(_VERTEX, _FRAGMENT, {})
        self._shadows = Quads(_SHADOW_VERTEX, _SHADOW_FRAGMENT, {"a_clip0": 4, "a_clip1": 4, "a_clip2": 4, "a_clip3": 4, "a_shape": 3})

    def draw(
        self,
        camera: OrbitCamera,
        panel: Rect,
        whole: Rect,
        ground_m: float,
        centre: tuple[float, float],
        reach_m: float,
        size: tuple[int, int],
        line_px: float,
    ) -> None:
        """Draw the ground at y `ground_m`, lit around `centre` (x, z), as the camera sees it in `panel`; all of `whole` is filled."""
        right, down, forward = axes(camera)
        if down[1] > 0:  # the ground lies below the horizon
            horizon = panel.top + panel.height / 2 - focal_px(panel) * forward[1] / down[1]
            top = float(np.clip(horizon, whole.top, whole.top + whole.height))
            whole = Rect(whole.left, top, whole.width, whole.top + whole.height - top)
        middle = panel.left + panel.width / 2, panel.top + panel.height / 2
        uniforms: dict[str, Any] = {"u_panel": tuple(whole), "u_middle": middle, "u_focal": focal_px(panel), "u_eye": position(camera)}
        uniforms |= {"u_right": right, "u_down": down, "u_forward": forward, "u_ground": ground_m, "u_centre": centre}
        self._ground.draw(self._ground.records(1), size, u_reach=reach_m, u_line=line_px, u_back=BACKGROUND, u_floor=FLOOR, **uniforms)

    def shadows(
        self,
        camera: OrbitCamera,
        panel: Rect,
        ground_m: float,
        start: npt.NDArray[Any],
        end: npt.NDArray[Any],
        radii: npt.NDArray[Any],
        size: tuple[int, int],
    ) -> None:
        """Draw soft shadows of solids (as in `geometry.Solids`); the higher a solid, the lighter its shadow."""
        if not len(start):
            return
        cast = np.array([0.22, 0.16])  # a shadow's shift in x and z, per height above the ground
        heights = np.maximum(ground_m - np.stack([start[:, 1], end[:, 1]], -1), 0)
        first, last = start[:, [0, 2]] + heights[:, :1] * cast, end[:, [0, 2]] + heights[:, 1:] * cast
        along = last - first
        span = np.linalg.norm(along, axis=-1, keepdims=True)
        along = np.where(span > 1e-4, along / np.maximum(span, 1e-4), (1.0, 0.0))
        across = np.stack([-along[:, 1], along[:, 0]], -1)
        reach = (1.25 * radii.max(-1) + 0.02 + 0.05 * heights.mean(-1))[:, None]
        corners = np.stack(
            [
                first - reach * (along + across),
                last + reach * (along - across),
                last + reach * (along + across),
                first - reach * (along - across),
            ],
            1,
        )
        places = np.stack([corners[..., 0], np.full(corners.shape[:2], ground_m), corners[..., 1]], -1)
        seen = project(camera, panel, places)
        records = self._shadows.records(len(start))
        for corner in range(4):
            records[f"a_clip{corner}"][:, :3] = seen[:, corner]
        dark = _DARK * np.exp(-0.9 * heights.mean(-1)) * (seen[..., 2] > 0.05).all(1)
        records["a_shape"] = np.stack([span[:, 0], reach[:, 0], dark], -1)
        self._shadows.draw(records, size, u_shade=tuple(0.6 * value for value in SHADE))
