"""Moves the eye: to a preset, with the people, with the mouse; gently, so that nobody loses their bearings."""

from __future__ import annotations

from typing import Optional

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.app.view.camera import FURTHEST_M, NEAREST_M, PRESETS, Eye, Panel, arrived, orbited, panned, preset, towards, zoomed
from poselift.common.arrays import Floats

Place = tuple[float, float, float]

CALM_S, FOLLOWS_S = 1.2, 0.35
"""The middle of a group, and of a person who is followed, settle within this: a place's depth trembles."""
LEEWAY = 0.25
"""Of what is seen: somebody that far from the middle is caught up with twice as fast, further away faster still."""
MIDDLE_M = 0.86
"""Of a body above the ground."""
OFF_GROUND_M = 0.35
"""Who jumps or bends moves within what is seen; who is higher above the ground, as on a roof, takes it along."""
ROOM_M = 1.14
"""Around a body's middle there is room for all of it."""
FAR_AWAY_M, OTHERS_AWAY_M = 2.5, 0.7
"""Whoever is so far away all of a sudden is not travelled to: the eye is there at once. Somebody else, the nearer one."""


class Director:
    """The eye is `eye`; the ground below the people at y `ground_m`."""

    def __init__(self) -> None:
        self.view = "follow"
        self.followed: Optional[int] = None
        self.ground_m = 1.5
        self._turn = tuple(np.radians(PRESETS[self.view]).tolist())
        self._zoom = 1.0
        self._shift = np.zeros(3)
        self._middle: Optional[np.ndarray[tuple[int], np.dtype[np.float64]]] = None
        self._reach = ROOM_M
        self._people: set[int] = set()
        self.eye = preset(self.view, (0.0, self.ground_m - MIDDLE_M, 4.0), ROOM_M)

    def choose(self, view: str) -> None:
        """Go to a preset."""
        self.view, self._turn = view, tuple(np.radians(PRESETS[view]).tolist())
        self._zoom, self._shift = 1.0, np.zeros(3)

    def next_person(self, people: list[int]) -> None:
        """Follow the next of these people, after the last one nobody in particular."""
        order: list[Optional[int]] = [None, *sorted(people)]
        place = order.index(self.followed) if self.followed in order else 0
        self.followed = order[(place + 1) % len(order)]
        if self.view != "follow":
            self.choose("follow")

    def turn(self, right_rad: float, up_rad: float) -> None:
        """With the mouse: at once."""
        self.eye = orbited(self.eye, right_rad, up_rad)
        self._turn = (self.eye.azimuth_rad, self.eye.elevation_rad)

    def zoom(self, factor: float) -> None:
        """Nearer (below 1) or further away."""
        self._zoom = float(np.clip(self._zoom * factor, 0.15, 12.0))
        self.eye = zoomed(self.eye, factor)

    def move(self, panel: Panel, right_px: float, down_px: float) -> None:
        """The scene goes with the mouse."""
        moved = panned(self.eye, panel, right_px, down_px)
        self._shift = self._shift + np.array(moved.target) - np.array(self.eye.target)
        self.eye = moved

    def step(self, pose: Optional[Pose3D], joints: Floats, ground_m: float, seconds: float) -> bool:
        """Go on for so long, with the people as they are now (`joints` as `bodies.placed`); whether the eye moved."""
        cut = False
        if len(joints):
            self.ground_m = ground_m
            cut = self._attend(pose, joints, seconds)
        middle = self._middle if self._middle is not None else np.array(self.eye.target)
        goal = preset(self.view, _place(middle + self._shift), self._reach)
        distance = float(np.clip(goal.distance_m * self._zoom, NEAREST_M, FURTHEST_M))
        goal = Eye(goal.target, self._turn[0], self._turn[1], distance)
        if arrived(self.eye, goal):
            return False
        self.eye = goal if cut else towards(self.eye, goal, seconds)
        return True

    def _attend(self, pose: Optional[Pose3D], joints: Floats, seconds: float) -> bool:
        """The middle and the extent of those who are to be seen; whether they are somewhere else than those before."""
        people = set(pose.person.tolist()) if pose else set()
        strangers, self._people = people.isdisjoint(self._people), people
        roots = joints[:, 0].astype(np.float64)
        follows = pose is not None and self.view == "follow" and self.followed in pose.person.tolist()
        if follows and pose is not None:
            roots = roots[pose.person.tolist().index(int(self.followed or 0))][None]
        low, high = roots.min(0), roots.max(0)
        goal = (low + high) / 2
        goal[1] = np.clip(self.ground_m - MIDDLE_M, goal[1] - OFF_GROUND_M, goal[1] + OFF_GROUND_M)
        reach = ROOM_M + 0.7 * float(np.hypot(*(high - low)[[0, 2]])) / 2
        away_m = np.inf if self._middle is None else float(np.abs(goal - self._middle).max())
        if self._middle is None or away_m > (OTHERS_AWAY_M if strangers else FAR_AWAY_M):
            self._middle, self._reach = goal, reach
            return True
        off = away_m / reach
        settles_s = (FOLLOWS_S if follows else CALM_S) / (1 + (off / LEEWAY) ** 2)
        self._middle = self._middle + (1 - np.exp(-seconds / settles_s)) * (goal - self._middle)
        self._reach += float(1 - np.exp(-seconds / CALM_S)) * (reach - self._reach)
        return False


def _place(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Place:
    x, y, z = point
    return float(x), float(y), float(z)
