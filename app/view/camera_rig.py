"""Moves the scene's camera: to a preset view, with the people, with the mouse. It moves smoothly, so that nobody loses their bearings."""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.messages import Pose3D
from poselift.app.view.layout import Rect
from poselift.app.view.orbit_camera import FURTHEST_M, NEAREST_M, PRESETS, OrbitCamera, eased, orbited, panned, preset, settled, zoomed
from poselift.common.arrays import Floats

GROUP_S, FOLLOW_S = 1.2, 0.35
"""Time constants with which the camera follows the middle of a group, and one person: positions jitter in depth."""
LEEWAY = 0.25
"""If the people are so far from the middle of the view, in its radii, the camera follows twice as fast; further away, faster still."""
BODY_MIDDLE_M = 0.86
"""Of a person who stands, above the ground."""
OFF_GROUND_M = 0.35
"""The view stays at its height while somebody jumps or bends. It rises with people who are higher above the ground, as on a roof."""
RADIUS_M = 1.14
"""Around the middle of a body: all of it is within."""
JUMP_M, OTHER_PEOPLE_JUMP_M = 2.5, 0.7
"""If the people are suddenly so far away, the camera jumps there at once. The second limit is for people other than before."""


class CameraRig:
    """Holds the camera and the height of the ground below the people."""

    def __init__(self) -> None:
        self.view = "follow"
        """A name of PRESETS."""
        self.followed: Optional[int] = None
        """The id of the person whom the view "follow" follows; None for everybody."""
        self.ground_m = 1.5
        """The ground's y in the real camera's axes."""
        self._angles = tuple(np.radians(PRESETS[self.view]).tolist())
        self._zoom = 1.0
        self._shift = np.zeros(3)
        self._middle: Optional[npt.NDArray[np.float64]] = None
        self._radius_m = RADIUS_M
        self._people: set[int] = set()
        self.camera = preset(self.view, (0.0, self.ground_m - BODY_MIDDLE_M, 4.0), RADIUS_M)

    def select_view(self, view: str) -> None:
        """Move to a preset view."""
        self.view, self._angles = view, tuple(np.radians(PRESETS[view]).tolist())
        self._zoom, self._shift = 1.0, np.zeros(3)

    def follow_next(self, people: list[int]) -> None:
        """Follow the next of these people; after the last one, everybody."""
        order: list[Optional[int]] = [None, *sorted(people)]
        index = order.index(self.followed) if self.followed in order else 0
        self.followed = order[(index + 1) % len(order)]
        if self.view != "follow":
            self.select_view("follow")

    def orbit(self, right_rad: float, up_rad: float) -> None:
        """Move around the target at once."""
        self.camera = orbited(self.camera, right_rad, up_rad)
        self._angles = (self.camera.azimuth_rad, self.camera.elevation_rad)

    def zoom(self, factor: float) -> None:
        """Move nearer (a factor below 1) or further away."""
        self._zoom = float(np.clip(self._zoom * factor, 0.15, 12.0))
        self.camera = zoomed(self.camera, factor)

    def pan(self, panel: Rect, right_px: float, down_px: float) -> None:
        """Move the scene by so many pixels in its panel."""
        moved = panned(self.camera, panel, right_px, down_px)
        self._shift = self._shift + np.array(moved.target) - np.array(self.camera.target)
        self.camera = moved

    def update(self, pose: Optional[Pose3D], joints: Floats, ground_m: float, seconds: float) -> bool:
        """Move for so long, with the people as they are now (`joints` as from `Placement.place`). Whether the camera has moved."""
        jump = False
        if len(joints):
            self.ground_m = ground_m
            jump = self._follow(pose, joints, seconds)
        middle = self._middle if self._middle is not None else np.array(self.camera.target)
        goal = preset(self.view, _target(middle + self._shift), self._radius_m)
        distance = float(np.clip(goal.distance_m * self._zoom, NEAREST_M, FURTHEST_M))
        goal = OrbitCamera(goal.target, self._angles[0], self._angles[1], distance)
        if settled(self.camera, goal):
            return False
        self.camera = goal if jump else eased(self.camera, goal, seconds)
        return True

    def _follow(self, pose: Optional[Pose3D], joints: Floats, seconds: float) -> bool:
        """Update the middle and the radius of what is to be seen. Whether the camera has to jump there."""
        people = set(pose.person.tolist()) if pose else set()
        other_people, self._people = people.isdisjoint(self._people), people
        roots = joints[:, 0].astype(np.float64)
        follows_one = pose is not None and self.view == "follow" and self.followed in pose.person.tolist()
        if follows_one and pose is not None:
            roots = roots[pose.person.tolist().index(int(self.followed or 0))][None]
        low, high = roots.min(0), roots.max(0)
        goal = (low + high) / 2
        goal[1] = np.clip(self.ground_m - BODY_MIDDLE_M, goal[1] - OFF_GROUND_M, goal[1] + OFF_GROUND_M)
        radius_m = RADIUS_M + float(np.linalg.norm((high - low) * (0.7, 1, 0.7))) / 2
        away_m = np.inf if self._middle is None else float(np.abs(goal - self._middle).max())
        if self._middle is None or away_m > (OTHER_PEOPLE_JUMP_M if other_people else JUMP_M):
            self._middle, self._radius_m = goal, radius_m
            return True
        off = max(away_m, radius_m - self._radius_m) / radius_m
        part = 1 - np.exp(-seconds / (FOLLOW_S if follows_one else GROUP_S) * (1 + (off / LEEWAY) ** 2))
        self._middle = self._middle + part * (goal - self._middle)
        self._radius_m += float(part) * (radius_m - self._radius_m)
        return False


def _target(point: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = point
    return float(x), float(y), float(z)
