"""Rectangles drawn in one call: a record for each, and a pair of small programs that say what its pixels are."""

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
vec4 at(vec2 place_px) { return vec4(2.0 * place_px.x / u_size.x - 1.0, 1.0 - 2.0 * place_px.y / u_size.y, 0.0, 1.0); }
"""
"""What every vertex program begins with: `a_corner` is -1 or 1 each way, `at` makes a place of pixels."""

DEPTH = """
float depth_of(float distance_m) { return clamp((distance_m - 0.05) / 79.95, 0.0, 1.0); }
"""
"""Distance from the eye, between `camera.NEAR_M` and `FAR_M`, as OpenGL's depth."""


class Quads:
    """`fields` names what each record holds (attribute and number of floats)."""

    def __init__(self, vertex: str, fragment: str, fields: dict[str, int]) -> None:
        self.program: Any = gloo.Program(HEAD + vertex, "#version 120\n" + fragment)
        self._dtype = np.dtype([*((name, np.float32, (count,)) for name, count in fields.items()), ("a_corner", np.float32, (2,))])
        self._room = 0

    def records(self, count: int) -> npt.NDArray[Any]:
        """Room for so many records, to be filled."""
        return np.zeros(count, self._dtype)

    def draw(self, records: npt.NDArray[Any], size: tuple[int, int], **uniforms: Any) -> None:
        """Draw the records, the first one first, into a window of that size, px."""
        if not len(records):
            return
        if len(records) > self._room:
            self._grow(len(records))
        self._vertices[: 4 * len(records)] = np.repeat(records, 4)
        self._vertices["a_corner"] = self._corners
        for field in self._dtype.names or ():
            self._vertices[field][4 * len(records) :] = 0  # nothing is drawn of these
        self._buffer.set_data(self._vertices)
        self.program["u_size"] = size
        for name, value in uniforms.items():
            self.program[name] = value
        self.program.draw("triangles", self._indices)

    def _grow(self, count: int) -> None:
        self._room = 1 << max(5, (count - 1).bit_length())
        self._vertices = np.zeros(4 * self._room, self._dtype)
        self._corners = np.tile(CORNERS, (self._room, 1))
        pattern = np.array([0, 1, 2, 0, 2, 3], np.uint32)
        self._indices = gloo.IndexBuffer((4 * np.arange(self._room, dtype=np.uint32)[:, None] + pattern).ravel())
        self._buffer = gloo.VertexBuffer(self._vertices)
        self.program.bind(self._buffer)
