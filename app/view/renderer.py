"""Draws what the controller shows with OpenGL: all of a kind in one call, so that it is fast enough without a graphics card."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from vispy import gloo

from poselift.app.view.colours import BACKGROUND
from poselift.app.view.controller import Controller
from poselift.app.view.decoder import Decoder
from poselift.app.view.drawing.boxes import BoxesProgram
from poselift.app.view.drawing.floor import FloorProgram
from poselift.app.view.drawing.glyphs import GlyphsProgram
from poselift.app.view.drawing.joints import JointsProgram
from poselift.app.view.drawing.lines import LinesProgram
from poselift.app.view.drawing.picture import PictureProgram
from poselift.app.view.drawing.solids import SolidsProgram
from poselift.app.view.geometry import Lines, body_solids, frustum, joint_marks, person_colours
from poselift.app.view.history import CompressedImage
from poselift.app.view.layout import Layout, Rect
from poselift.app.view.orbit_camera import NEAR_M, focal_px, project
from poselift.app.view.overlay import overlay

Size = tuple[int, int]
_BRIGHTNESS, _STALE_BRIGHTNESS = 0.94, 0.45
_TRAIL_WIDTH, _FRUSTUM_WIDTH = 1.3, 0.7


class Renderer:
    """Owns the OpenGL programs; made once, in the window's context."""

    def __init__(self) -> None:
        self._floor, self._solids, self._joints, self._lines = FloorProgram(), SolidsProgram(), JointsProgram(), LinesProgram()
        self._picture, self._boxes = PictureProgram(), BoxesProgram()
        self._decoder = Decoder()
        self._glyphs: Optional[GlyphsProgram] = None
        self._image: Optional[CompressedImage] = None
        self._image_width = 0

    def draw(self, controller: Controller, size: Size) -> None:
        """Draw everything into a window of that size, px."""
        layout = controller.layout(*size)
        gloo.set_viewport(0, 0, *size)
        gloo.clear(color=(*BACKGROUND, 1.0), depth=True)
        gloo.set_state(blend=True, depth_test=False, cull_face=False)
        gloo.set_blend_func("src_alpha", "one_minus_src_alpha", "one", "one_minus_src_alpha")
        self._draw_scene(controller, layout, size)
        if layout.picture:
            self._draw_picture(controller, layout, layout.picture, size)
        if self._glyphs is None or self._glyphs.unit != layout.unit:
            self._glyphs = GlyphsProgram(layout.unit)
        hud = controller.hud(layout, self._glyphs.width)
        self._boxes.draw(hud.boxes, size)
        self._glyphs.draw(hud.labels, size)

    def _draw_scene(self, controller: Controller, layout: Layout, size: Size) -> None:
        panel, camera, unit = layout.scene, controller.rig.camera, layout.unit
        ground_m = controller.rig.ground_m
        gloo.set_state(scissor_test=True)
        gloo.set_scissor(round(panel.left), 0, size[0] - round(panel.left), size[1])
        whole = Rect(panel.left, 0, size[0] - panel.left, size[1])
        pose = controller.snapshot.pose if controller.snapshot else None
        centre = camera.target[0], camera.target[2]
        focal = focal_px(panel)
        self._floor.draw(camera, panel, whole, ground_m, centre, max(3.2, 0.9 * camera.distance_m), size, max(1.0, 0.9 * unit))
        if pose is not None:
            body = body_solids(pose, controller.joints, person_colours(pose, controller.stale))
            self._floor.shadows(camera, panel, ground_m, body.start, body.end, body.radii, size)
        gloo.set_state(depth_test=True)
        if pose is not None:
            start, end = project(camera, panel, body.start), project(camera, panel, body.end)
            visible = np.flatnonzero((start[:, 2] > NEAR_M) & (end[:, 2] > NEAR_M))
            visible = visible[np.argsort(-(start[visible, 2] + end[visible, 2]), kind="stable")]
            first, last = (_with_size(at[visible], body.radii[visible, k] * focal) for k, at in enumerate((start, end)))
            self._solids.draw(first, last, body.colour[visible], size, 1.1 * unit, focal)
        gloo.set_depth_mask(False)
        self._draw_lines(controller, panel, size, unit)
        if pose is not None:
            self._draw_joints(controller, panel, size, unit)
        gloo.set_depth_mask(True)
        gloo.set_state(depth_test=False, scissor_test=False)

    def _draw_joints(self, controller: Controller, panel: Rect, size: Size, unit: float) -> None:
        assert controller.snapshot and controller.snapshot.pose
        pose = controller.snapshot.pose
        marks = joint_marks(pose, controller.joints, person_colours(pose, controller.stale))
        at = project(controller.rig.camera, panel, marks.position)
        order = np.argsort(-at[:, 2], kind="stable")
        order = order[at[order, 2] > NEAR_M]
        scale = focal_px(panel) / at[order, 2]
        radii = np.stack([marks.radius[order] * scale, marks.sigma[order] * scale], -1)
        in_front = at[order] - np.stack([0 * scale, 0 * scale, 3.5 * marks.radius[order]], -1)  # of the limbs
        self._joints.draw(in_front, radii, marks.colour[order], marks.halo[order], size, max(1.0, 0.8 * unit))

    def _draw_lines(self, controller: Controller, panel: Rect, size: Size, unit: float) -> None:
        picture_size = controller.picture_size or (1280, 720)
        pieces = [(frustum(*picture_size, controller.focal_px), _FRUSTUM_WIDTH * unit)]
        if controller.trails_on and not controller.stale:
            pieces.append((controller.trail, _TRAIL_WIDTH * unit))
        starts, ends, tints = zip(*(_projected(lines, controller, panel, width) for lines, width in pieces))
        self._lines.draw(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints), size)

    def _draw_picture(self, controller: Controller, layout: Layout, panel: Rect, size: Size) -> None:
        image = controller.snapshot.image if controller.snapshot else None
        if image != self._image or round(panel.width) != self._image_width:
            self._image, self._image_width = image, round(panel.width)
            self._picture.set(self._decoder.decode(image, round(panel.width), round(panel.height)) if image else None)
        self._picture.draw(panel, 7 * layout.unit, _STALE_BRIGHTNESS if controller.stale else _BRIGHTNESS, size)
        keypoints = controller.snapshot.overlay if controller.snapshot else None
        if keypoints is None:
            return
        gloo.set_state(scissor_test=True)
        gloo.set_scissor(round(panel.left), round(size[1] - panel.top - panel.height), round(panel.width), round(panel.height))
        drawn = overlay(keypoints, panel, layout.unit, controller.stale)
        self._solids.draw(drawn.start, drawn.end, drawn.colour, size, max(1.0, 0.9 * layout.unit))
        gloo.set_state(scissor_test=False)


def _with_size(at: npt.NDArray[Any], size_px: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """x px, y px, depth, and a length at that depth, px; `size_px` is the length at a depth of 1."""
    return np.concatenate([at, (size_px / at[:, 2])[:, None]], -1)


def _projected(
    lines: Lines, controller: Controller, panel: Rect, half_width_px: float
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    start, end = (project(controller.rig.camera, panel, points) for points in (lines.start, lines.end))
    visible = (start[:, 2] > NEAR_M) & (end[:, 2] > NEAR_M)
    half = np.full((int(visible.sum()), 1), half_width_px)
    return np.concatenate([start[visible], half], -1), np.concatenate([end[visible], half], -1), lines.colour[visible]
