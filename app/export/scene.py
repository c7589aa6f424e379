"""The 3D skeleton on a floor, drawn in software: solid limbs in the order of their depth, a shadow, a slowly turning view.

Lengths are in body heights, so that a child fills the panel as an adult does, and smaller where several people need more room; axes as
the camera's (x right, y down, z forward), the origin on the floor below the middle of the people. The floor is square to the camera's y
axis; the view turns about that axis.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.drawing import SHIFT, fixed, write_id
from poselift.app.export.framing import Framing
from poselift.app.export.palette import BACKGROUND, CONTACT, HELD, JOINT_BONE_COLOURS, JOINT_BONES, SHADE, TRUNK, Colour, colour_of, mixed
from poselift.app.export.placement import Place, places
from poselift.common.arrays import Pixels
from poselift.common.skeleton import BODY_HEIGHT_M, FEET, H36M_JOINTS, JOINTS

TURN_S = 24.0
"""Seconds of a full turn."""

Points = npt.NDArray[np.float64]

HEAD_RADIUS, CONTACT_RADIUS = 0.062, 0.022
_NECK, _HEAD = JOINTS.index("neck"), JOINTS.index("head")
_FEET = slice(JOINTS.index(FEET[0]), None)
_ABOVE_FLOOR = {"ankle": 0.045, "heel": 0.012, "toe": 0.009}
_STANDING = [joint for joint, name in enumerate(JOINTS) if name.rpartition("_")[2] in _ABOVE_FLOOR]
_STANDING_ABOVE_FLOOR = np.array([_ABOVE_FLOOR[JOINTS[joint].rpartition("_")[2]] for joint in _STANDING])
_ID_ABOVE_HEAD = 0.13
_RADII = {"knee": 0.036, "ankle": 0.029, "elbow": 0.028, "wrist": 0.023, "spine": 0.045, "thorax": 0.045, "heel": 0.016, "toe": 0.014}

_ELEVATION_RAD, _START_RAD = np.radians(13.0), np.radians(-28.0)
_DISTANCE, _FOCAL, _MIDDLE = 3.6, 2.55, 0.46  # from the view to the body's middle; in panel heights; the middle above the floor
_FLOOR_RADIUS, _TILE = 1.2, 0.2
_LIGHT = np.array([0.30, 1.0, 0.24])  # the way down to a shadow, per height of what casts it
_FLOOR_WINDOW_S, _FLOOR_SETTLES_S = 1.0, 0.3


class Scene:
    """Draws the poses of one stream, in the order of their times, into panels of one size."""

    def __init__(self, width_px: int, height_px: int, body_height_m: float = BODY_HEIGHT_M) -> None:
        self._width_px, self._height_px, self._body_height_m = width_px, height_px, body_height_m
        self._focal_px = _FOCAL * min(height_px, 1.15 * width_px)
        self._floors: dict[int, Floor] = {}
        self._places: Mapping[int, Place] = {}
        self._t_s = 0.0
        self._framing = Framing(0.5 * width_px * _DISTANCE / self._focal_px)
        self._glow = self._floor_glow()
        lit = self._glow[..., None] * np.array([22.0, 19.0, 17.0], np.float32)
        self._empty: Pixels = (np.array(BACKGROUND, np.float32) + lit).astype(np.uint8)

    def project(self, points: npt.NDArray[Any], turn_rad: float) -> Points:
        """Points (float [..., 3]) as x px, y px in the panel and depth, the view turned by so much."""
        x = np.cos(turn_rad) * points[..., 0] + np.sin(turn_rad) * points[..., 2]
        z = np.cos(turn_rad) * points[..., 2] - np.sin(turn_rad) * points[..., 0]
        y = points[..., 1] + _MIDDLE
        depth = np.maximum(_DISTANCE + np.sin(_ELEVATION_RAD) * y + np.cos(_ELEVATION_RAD) * z, 0.2)
        down = np.cos(_ELEVATION_RAD) * y - np.sin(_ELEVATION_RAD) * z
        scale = self._focal_px / depth
        return np.stack([self._width_px / 2 + scale * x, self._height_px / 2 + scale * down, depth], -1)

    def place(self, pose: Pose3D) -> Points:
        """The joints of all people, float [K, 21, 3], in the scene's lengths and axes; moves the view on to this pose.

        Whose joints are no numbers has no place, and does not move the view; feet alone may be none.
        """
        t_s, persons = pose.t_ns / 1e9, pose.person.tolist()
        self._places, self._t_s = places(pose, self._places, t_s - self._t_s), t_s
        joints = np.where(np.isfinite(pose.joints_m), pose.joints_m, np.nan).astype(np.float64) / self._body_height_m
        roots = np.array([self._places[person].root_m for person in persons]).reshape(-1, 3) / self._body_height_m
        finite = _finite(joints)
        self._floors = {persons[k]: self._floors.get(persons[k]) or Floor() for k in finite}
        if len(finite):
            below = [self._floors[persons[k]].under(below_feet(joints[k]), t_s) for k in finite]
            self._framing.step({persons[k]: roots[k] + (0, y, 0) for k, y in zip(finite, below)}, t_s)
        view = self._framing.view
        placed: Points = view.scale * (joints + (roots - view.point)[:, None])
        return placed

    def draw(self, pose: Optional[Pose3D], t_s: float) -> Pixels:
        """The panel at a time of the stream, seconds: it decides how far the view has turned."""
        turn_rad = turn_at(t_s)
        panel: Pixels = self._empty.copy()
        people = self.place(pose) if pose is not None else np.zeros((0, len(JOINTS), 3))
        finite = _finite(people)
        self._draw_floor(panel, people[finite], turn_rad)
        if pose is not None:
            for k in sorted(finite, key=lambda k: -float(self.project(people[k, 0], turn_rad)[2])):
                colour = HELD if pose.held[k] else colour_of(int(pose.person[k]))
                self._draw_person(panel, people[k], pose, k, colour, turn_rad)
                if len(finite) > 1:
                    x_px, y_px, _ = self.project(people[k, _HEAD] - (0, self._framing.view.scale * _ID_ABOVE_HEAD, 0), turn_rad)
                    write_id(panel, int(pose.person[k]), x_px, y_px, colour)
        return panel

    def _floor_glow(self) -> npt.NDArray[np.float32]:
        """float [height, width]: 1 in the middle of the floor, 0 from its rim on; the same from every side."""
        right, down = np.meshgrid(np.arange(self._width_px) - self._width_px / 2, np.arange(self._height_px) - self._height_px / 2)
        right, down = right / self._focal_px, down / self._focal_px
        sine, cosine = np.sin(_ELEVATION_RAD), np.cos(_ELEVATION_RAD)
        falling = np.maximum(sine + cosine * down, 1e-6)
        reach = (_MIDDLE + _DISTANCE * sine) / falling
        radius = np.hypot(reach * right, reach * (cosine - sine * down) - _DISTANCE * cosine)
        share = np.clip(1 - radius / _FLOOR_RADIUS, 0, 1)
        glow: npt.NDArray[np.float32] = (share * share * (3 - 2 * share)).astype(np.float32)
        return glow

    def _draw_floor(self, panel: Pixels, people: Points, turn_rad: float) -> None:
        rows = slice(int(np.flatnonzero(self._glow.any(1))[0]), self._height_px)
        top = np.array([0, rows.start, 0])
        lines, shadow = np.zeros((2, self._height_px - rows.start, self._width_px), np.uint8)
        scale = self._framing.view.scale
        for ends in self._tiles():
            start, end = self.project(ends, turn_rad) - top
            cv2.line(lines, fixed(start), fixed(end), 90, 1, cv2.LINE_AA, SHIFT)
        for person in people:
            cast = person - person[:, 1:2] * _to_view(_LIGHT, turn_rad)
            points = self.project(cast, turn_rad) - top
            for (start, end), radius, _ in _bones(person):
                thickness = max(1, round(2.2 * scale * radius * self._focal_px / max(points[start, 2], 0.2)))
                cv2.line(shadow, fixed(points[start]), fixed(points[end]), 190, thickness, cv2.LINE_AA, SHIFT)
        glow = (255 * self._glow[rows]).astype(np.uint8)
        lines = cv2.multiply(lines, glow, scale=1 / 255)
        shadow = cv2.blur(cv2.blur(shadow, (9, 9)), (9, 9))
        part = panel[rows]
        cv2.add(part, cv2.cvtColor(lines, cv2.COLOR_GRAY2BGR), part)
        cv2.multiply(part, cv2.cvtColor(cv2.bitwise_not(shadow), cv2.COLOR_GRAY2BGR), part, scale=1 / 255)

    def _tiles(self) -> list[Points]:
        """The ends of the floor's lines, as chords of its rim."""
        view = self._framing.view
        side = view.scale * _TILE
        lines = []
        for axis, corner in ((0, view.scale * view.tiles[0]), (2, view.scale * view.tiles[1])):
            for offset in np.arange((corner + _FLOOR_RADIUS) % side - _FLOOR_RADIUS, _FLOOR_RADIUS, side):
                ends = np.zeros((2, 3))
                ends[:, axis], ends[:, 2 - axis] = offset, np.sqrt(max(_FLOOR_RADIUS**2 - offset**2, 0)) * np.array([-1, 1])
                lines.append(ends)
        return lines

    def _draw_person(self, panel: Pixels, joints: Points, pose: Pose3D, k: int, own: Colour, turn_rad: float) -> None:
        """Limbs in the colours of their sides, trunk and head in the person's `own`; where a foot is on the floor, a bright ball."""
        confidence, held = np.nan_to_num(pose.confidence[k]), bool(pose.held[k])
        points = self.project(joints, turn_rad)
        near = np.nanmin(points[:, 2])
        thin = (0.6 if held else 1.0) * self._framing.view.scale

        def look(colour: Colour, depth: float, sure: float) -> Colour:
            dim = 0.75 * (1 - float(np.clip(sure, 0, 1)))
            return mixed(mixed(HELD if held else colour, SHADE, 0.0 if held else dim), BACKGROUND, min(0.45, 0.6 * (depth - near)))

        head = (points[_NECK] + points[_HEAD]) / 2
        solids = [(head, head, HEAD_RADIUS, own, confidence[[_NECK, _HEAD]].min())]
        for (start, end), radius, colour in _bones(joints):
            if end != _HEAD:
                solids.append((points[start], points[end], radius, colour, confidence[[start, end]].min()))
        feet = points[_FEET]
        solids += [(point, point, CONTACT_RADIUS, CONTACT, 1.0) for point in feet[pose.contact[k] & np.isfinite(feet).all(-1)]]
        for start, end, radius, colour, sure in sorted(solids, key=lambda solid: -float(solid[0][2] + solid[1][2])):
            shown = look(own if colour is TRUNK else colour, float(start[2] + end[2]) / 2, float(sure))
            _draw_solid(panel, start, end, thin * radius * self._focal_px, shown)


class Floor:
    """The height of the ground under feet that are seen lifting and stepping: the lowest they were lately, gently followed."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._y, self._t_s = 0.0, 0.0

    def under(self, lowest: float, t_s: float) -> float:
        """The floor's y at a time in seconds, where the lowest point of all feet is at y `lowest` (y down)."""
        fresh = not self._recent or t_s < self._t_s
        if fresh:
            self._recent.clear()
        self._recent.append((t_s, lowest))
        while self._recent[0][0] < t_s - _FLOOR_WINDOW_S:
            self._recent.popleft()
        target = max(y for _, y in self._recent)
        self._y = target if fresh else self._y + (target - self._y) * (1 - np.exp((self._t_s - t_s) / _FLOOR_SETTLES_S))
        self._t_s = t_s
        return self._y


def turn_at(t_s: float) -> float:
    """How far the view has turned about the vertical axis at a time of the stream, radians."""
    return float(_START_RAD + 2 * np.pi * t_s / TURN_S)


def below_feet(joints: npt.NDArray[Any], unit: float = 1.0) -> float:
    """The y of the ground below the lowest foot of these joints, float [..., 21, 3] (y down); a body's height is `unit` long."""
    return float(np.nanmax(joints[..., _STANDING, 1] + unit * _STANDING_ABOVE_FLOOR))


def _finite(people: Points) -> npt.NDArray[np.intp]:
    """The people (indices) of whose joints [K, 21, 3] all but the feet's are finite."""
    return np.flatnonzero(np.isfinite(people[:, : len(H36M_JOINTS)]).all((1, 2)))


def _to_view(direction: Points, turn_rad: float) -> Points:
    """A direction that stays as it is on the screen, in the axes of the turned scene."""
    x, y, z = direction
    return np.array([np.cos(turn_rad) * x - np.sin(turn_rad) * z, y, np.sin(turn_rad) * x + np.cos(turn_rad) * z])


def _bones(joints: Points) -> Iterator[tuple[tuple[int, int], float, Colour]]:
    """Ends, radius and colour of each bone whose joints are known."""
    known = np.asarray(np.isfinite(joints).all(-1))
    for (start, end), colour in zip(JOINT_BONES, JOINT_BONE_COLOURS):
        if known[start] and known[end]:
            yield (start, end), _RADII.get(JOINTS[end].rpartition("_")[2], 0.027), colour


def _draw_solid(panel: Pixels, start: Points, end: Points, size: float, colour: Colour) -> None:
    """A limb between two projected points: a dark rim that sets it off from what lies behind, the limb, and light from above."""
    radii = np.array([size / start[2], size / end[2]])
    _draw_capsule(panel, start, end, radii + 2.0, SHADE)
    _draw_capsule(panel, start, end, radii, colour)
    shift = np.array([-0.22, -0.34, 0.0])
    lit = mixed(colour, (255, 255, 255), 0.28)
    _draw_capsule(panel, start + shift * radii[0], end + shift * radii[1], 0.42 * radii, lit)


def _draw_capsule(panel: Pixels, start: Points, end: Points, radii: Points, colour: Colour) -> None:
    """Two discs and what lies between them."""
    along = (end - start)[:2]
    length = float(np.hypot(*along))
    for centre, radius in zip((start, end), radii):
        cv2.circle(panel, fixed(centre), max(1, round(float(radius) * (1 << SHIFT))), colour, cv2.FILLED, cv2.LINE_AA, SHIFT)
    if length > 0:
        across = np.array([-along[1], along[0]]) / length
        corners = [start[:2] + across * radii[0], end[:2] + across * radii[1], end[:2] - across * radii[1], start[:2] - across * radii[0]]
        cv2.fillConvexPoly(panel, np.round(np.array(corners) * (1 << SHIFT)).astype(np.int32), colour, cv2.LINE_AA, SHIFT)
