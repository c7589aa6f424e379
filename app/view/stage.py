"""Draws a Show into the current OpenGL context: each kind of thing in one call, so that it runs without a graphics card too."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from vispy import gloo

from poselift.app.view.bodies import Lines, colours, frustum, joint_marks, limbs
from poselift.app.view.camera import NEAR_M, Panel, focal_px, project
from poselift.app.view.colours import BACKGROUND
from poselift.app.view.decoder import Decoder
from poselift.app.view.drawing.boxes import BoxesProgram
from poselift.app.view.drawing.floor import FloorProgram
from poselift.app.view.drawing.glyphs import GlyphsProgram
from poselift.app.view.drawing.joints import JointsProgram
from poselift.app.view.drawing.lines import LinesProgram
from poselift.app.view.drawing.picture import PictureProgram
from poselift.app.view.drawing.solids import SolidsProgram
from poselift.app.view.layout import Layout
from poselift.app.view.moments import Shot
from poselift.app.view.overlay import overlay
from poselift.app.view.show import Show

Size = tuple[int, int]
_GREYED = 0.45
_TRAIL_WIDTH, _FRUSTUM_WIDTH = 1.3, 0.7


class Stage:
    """All programs, made once in the context of the window."""

    def __init__(self) -> None:
        self._floor, self._solids, self._joints, self._lines = FloorProgram(), SolidsProgram(), JointsProgram(), LinesProgram()
        self._picture, self._boxes = PictureProgram(), BoxesProgram()
        self._decoder = Decoder()
        self._glyphs: Optional[GlyphsProgram] = None
        self._shot: Optional[Shot] = None
        self._shown_width = 0

    def draw(self, show: Show, size: Size) -> None:
        """Everything, into a window of that size, px."""
        layout = show.layout(*size)
        gloo.set_viewport(0, 0, *size)
        gloo.clear(color=(*BACKGROUND, 1.0), depth=True)
        gloo.set_state(blend=True, depth_test=False, cull_face=False)
        gloo.set_blend_func("src_alpha", "one_minus_src_alpha", "one", "one_minus_src_alpha")
        self._scene(show, layout, size)
        if layout.picture:
            self._draw_picture(show, layout, layout.picture, size)
        if self._glyphs is None or self._glyphs.unit != layout.unit:
            self._glyphs = GlyphsProgram(layout.unit)
        page = show.page(layout, self._glyphs.width)
        self._boxes.draw(page.boxes, size)
        self._glyphs.draw(page.labels, size)

    def _scene(self, show: Show, layout: Layout, size: Size) -> None:
        panel, eye, unit = layout.scene, show.director.eye, layout.unit
        ground_m = show.director.ground_m
        gloo.set_state(scissor_test=True)
        gloo.set_scissor(round(panel.left), 0, size[0] - round(panel.left), size[1])
        whole = Panel(panel.left, 0, size[0] - panel.left, size[1])
        pose = show.moment.pose if show.moment else None
        centre = eye.target[0], eye.target[2]
        focal = focal_px(panel)
        self._floor.draw(eye, panel, whole, ground_m, centre, max(3.2, 0.9 * eye.distance_m), size, max(1.0, 0.9 * unit))
        if pose is not None:
            body = limbs(pose, show.joints, colours(pose, show.stale))
            self._floor.shadows(eye, panel, ground_m, body.start, body.end, body.radii, size)
        gloo.set_state(depth_test=True)
        if pose is not None:
            start, end = project(eye, panel, body.start), project(eye, panel, body.end)
            seen = np.flatnonzero((start[:, 2] > NEAR_M) & (end[:, 2] > NEAR_M))
            seen = seen[np.argsort(-(start[seen, 2] + end[seen, 2]), kind="stable")]
            first, last = (_sized(place[seen], body.radii[seen, k] * focal) for k, place in enumerate((start, end)))
            self._solids.draw(first, last, body.colour[seen], size, 1.1 * unit, focal)
        gloo.set_depth_mask(False)
        self._draw_lines(show, panel, size, unit)
        if pose is not None:
            self._draw_joints(show, panel, size, unit)
        gloo.set_depth_mask(True)
        gloo.set_state(depth_test=False, scissor_test=False)

    def _draw_joints(self, show: Show, panel: Panel, size: Size, unit: float) -> None:
        assert show.moment and show.moment.pose
        pose = show.moment.pose
        marks = joint_marks(pose, show.joints, colours(pose, show.stale))
        place = project(show.director.eye, panel, marks.place)
        order = np.argsort(-place[:, 2], kind="stable")
        order = order[place[order, 2] > NEAR_M]
        scale = focal_px(panel) / place[order, 2]
        radii = np.stack([marks.radius[order] * scale, marks.sigma[order] * scale], -1)
        before = place[order] - np.stack([0 * scale, 0 * scale, 3.5 * marks.radius[order]], -1)
        self._joints.draw(before, radii, marks.colour[order], marks.halo[order], size, max(1.0, 0.8 * unit))

    def _draw_lines(self, show: Show, panel: Panel, size: Size, unit: float) -> None:
        picture = show.picture_size or (1280, 720)
        pieces = [(frustum(*picture, show.focal_px), _FRUSTUM_WIDTH * unit)]
        if show.trails_on and not show.stale:
            pieces.append((show.trail, _TRAIL_WIDTH * unit))
        starts, ends, tints = zip(*(_projected(lines, show, panel, width) for lines, width in pieces))
        self._lines.draw(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints), size)

    def _draw_picture(self, show: Show, layout: Layout, panel: Panel, size: Size) -> None:
        shot = show.moment.shot if show.moment else None
        if shot != self._shot or round(panel.width) != self._shown_width:
            self._shot, self._shown_width = shot, round(panel.width)
            self._picture.set(self._decoder.picture(shot, round(panel.width), round(panel.height)) if shot else None)
        self._picture.draw(panel, 7 * layout.unit, _GREYED if show.stale else 0.94, size)
        told = show.moment.overlay if show.moment else None
        if told is None:
            return
        gloo.set_state(scissor_test=True)
        gloo.set_scissor(round(panel.left), round(size[1] - panel.top - panel.height), round(panel.width), round(panel.height))
        drawn = overlay(told, panel, layout.unit, show.stale)
        self._solids.draw(drawn.start, drawn.end, drawn.colour, size, max(1.0, 0.9 * layout.unit))
        gloo.set_state(scissor_test=False)


def _sized(place: npt.NDArray[Any], size_px: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """x px, y px, distance, and a length at that distance in px."""
    return np.concatenate([place, (size_px / place[:, 2])[:, None]], -1)


def _projected(lines: Lines, show: Show, panel: Panel, half_px: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    start, end = (project(show.director.eye, panel, place) for place in (lines.start, lines.end))
    seen = (start[:, 2] > NEAR_M) & (end[:, 2] > NEAR_M)
    wide = np.full((int(seen.sum()), 1), half_px)
    return np.concatenate([start[seen], wide], -1), np.concatenate([end[seen], wide], -1), lines.colour[seen]
