"""What of the scene is shown: the ground below the people's middle, and how much around it; calm, whoever comes and goes.

Lengths are in body heights; axes as the camera's (x right, y down, z forward).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from poselift.common.arrays import Doubles

QUICKNESS = 7.0
"""Per second: how fast what is shown goes over to what should be; it begins gently, and is there to 95 % after 0.7 s."""
AROUND, ABOVE = 0.45, 1.1
"""Room around and above somebody's place on the ground."""
SMALLEST = 0.12
"""People are never drawn smaller than this, in parts of the size of one who is alone."""


class View(NamedTuple):
    """What is shown."""

    point: Doubles
    """float64 [3]: on the ground, in the middle of what is shown."""
    scale: float
    """Size of a person, in parts of that of one who is alone."""
    tiles: Doubles
    """float64 [2]: x and z of a corner of the ground's tiles, from `point`. One who is alone takes them along, several walk on them."""


class Framing:
    """Follows the people of one stream. One who is alone stays in the middle; of several, all are shown.

    `room` is how far from the middle something can be seen that is level with it, to either side.
    """

    def __init__(self, room: float) -> None:
        self._room = room
        self._people: Mapping[int, Doubles] = {}
        self._shown, self._speed, self._corner = np.array([0, 0, 0, 1.0]), np.zeros(4), np.zeros(3)
        self._t_s = 0.0

    @property
    def view(self) -> View:
        """What is shown now."""
        return View(self._shown[:3], float(self._shown[3]), (self._corner - self._shown[:3])[[0, 2]])

    def step(self, people: Mapping[int, Doubles], t_s: float) -> None:
        """At this time, seconds, these people, one or more, are there: id -> their place on the ground below them, float64 [3].

        It goes on gently from those before; at once where there was none of them, as after a cut in a film.
        """
        stayed = [places - self._people[person] for person, places in people.items() if person in self._people]
        goal = self._goal(np.array(list(people.values())))
        if stayed and t_s >= self._t_s:
            along = np.mean(stayed, axis=0)
            if len(people) == 1:
                self._corner = self._corner + along
            else:
                along[1] = 0  # the ground does not rise with one who jumps
            self._settle(goal, self._shown + np.append(along, 0), t_s - self._t_s)
        else:
            self._shown, self._speed, self._corner = goal, np.zeros(4), goal[:3]
        self._people, self._t_s = people, t_s

    def _settle(self, goal: Doubles, shown: Doubles, seconds: float) -> None:
        """Go on towards the goal as a critically damped spring does."""
        off, faded = shown - goal, np.exp(-QUICKNESS * seconds)
        push = (self._speed + QUICKNESS * off) * seconds
        self._shown, self._speed = goal + (off + push) * faded, (self._speed - QUICKNESS * push) * faded

    def _goal(self, places: Doubles) -> Doubles:
        """Middle, ground and scale that show all of these places [K, 3]."""
        low, high = places.min(0), places.max(0)
        middle = (low + high) / 2
        middle[1] = high[1]
        if len(places) == 1:
            return np.append(middle, 1.0)
        reach = float(np.hypot(*(places - middle)[:, [0, 2]].T).max())
        scale = min(1.0, self._room / (reach + AROUND), ABOVE / (ABOVE + float(high[1] - low[1])))
        return np.append(middle, max(scale, SMALLEST))
