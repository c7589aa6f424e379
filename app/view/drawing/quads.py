"""Rectangles drawn in one call: a record for each, and a vertex and a fragment shader that say what its pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from vispy import gloo

CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)

HEAD = """
#version 120
uniform vec2 u_size;
attribute vec2 a_corner;
vec4 at(vec2 position_px) { return vec4(2.0 * position_px.x / u_size.x - 1.0, 1.0 - 2.0 * position_px.y / u_size.y, 0.0, 1.0); }
"""
"""Every vertex shader begins with this. `a_corner` is -1 or 1 in each direction; `at` converts a position in pixels."""

DEPTH = """
float depth_of(float distance_m) { return clamp((distance_m - 0.05) / 79.95, 0.0, 1.0); }
"""
"""Depth, between `orbit_camera.NEAR_M` and `FAR_M`, as OpenGL has it."""


class Quads:
    """`fields` are the attributes of a record, and how many floats each has."""

    def __init__(self, vertex: str, fragment: str, fields: dict[str, int]) -> None:
        self.program: Any = gloo.Program(HEAD + vertex, "#version 120\n" + fragment)
        self._dtype = np.dtype([*((name, np.float32, (count,)) for name, count in fields.items()), ("a_corner", np.float32, (2,))])
        self._capacity = 0

    def records(self, count: int) -> npt.NDArray[Any]:
        """Empty records, to be filled."""
        return np.zeros(count, self._dtype)

    def draw(self, records: npt.NDArray[Any], size: tuple[int, int], **uniforms: Any) -> None:
        """Draw the records into a window of that size, px; the first one at the bottom."""
        if not len(records):
            return
        if len(records) > self._capacity:
            self._grow(len(records))
        self._vertices[: 4 * len(records)] = np.repeat(records, 4)
        self._vertices["a_corner"] = self._corners
        for field in self._dtype.names or ():
            self._vertices[field][4 * len(records) :] = 0  # unused: rectangles without a size
        self._buffer.set_data(self._vertices)
        self.program["u_size"] = size
        for name, value in uniforms.items():
            self.program[name] = value
        self.program.draw("triangles", self._indices)

    def _grow(self, count: int) -> None:
        self._capacity = 1 << max(5, (count - 1).bit_length())
        self._vertices = np.zeros(4 * self._capacity, self._dtype)
        self._corners = np.tile(CORNERS, (self._capacity, 1))
        pattern = np.array([0, 1, 2, 0, 2, 3], np.uint32)
        self._indices = gloo.IndexBuffer((4 * np.arange(self._capacity, dtype=np.uint32)[:, None] + pattern).ravel())
        self._buffer = gloo.VertexBuffer(self._vertices)
        self.program.bind(self._buffer)
