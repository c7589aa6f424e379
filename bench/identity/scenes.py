"""What happens: who goes where, what hides them, and what shows them twice. x to the right, z away from the camera, metres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Optional

import numpy as np

from bench.identity.actors import Actor

CLIPS = 3
"""Of each kind."""
PLACES = 4
"""So many people are followed at most."""
WALK_M_S = 1.1
BODY_M = 0.95
"""Somebody with arms and legs, as wide as they mostly are."""

Way = Sequence[tuple[float, float, float]]
"""Time s, x m, z m of the points that somebody passes."""


class Person(NamedTuple):
    """Somebody who goes their way, looking where they go."""

    actor: Actor
    way: Way

    def at(self, t_s: float) -> tuple[float, float, bool]:
        """x and z at this time, and whether they look to the left."""
        times, x, z = (np.array(column) for column in zip(*self.way))
        gone = int(np.searchsorted(times, t_s, "right")) - 1
        turns = [*np.sign(np.diff(x)[: max(gone, 0) + 1]), *np.sign(np.diff(x))]
        moving = [turn for turn in turns[: max(gone, 0) + 1] if turn] or [turn for turn in turns if turn]
        return float(np.interp(t_s, times, x)), float(np.interp(t_s, times, z)), bool(moving and moving[-1] < 0)


class Wall(NamedTuple):
    """It hides who is behind it."""

    middle_m: float
    width_m: float
    z_m: float


class Mirror(NamedTuple):
    """On the wall behind (`across` the view), or at the right side; it is seen in these columns of the picture."""

    at_m: float
    across: bool
    columns: tuple[int, int]

    def image(self, x_m: float, z_m: float) -> tuple[float, float, bool]:
        """Where the image of somebody is, and whether it looks the other way."""
        return (x_m, 2 * self.at_m - z_m, False) if self.across else (2 * self.at_m - x_m, z_m, True)


class Scene(NamedTuple):
    """One clip."""

    kind: str
    number: int
    seconds: float
    people: tuple[Person, ...]
    wall: Optional[Wall] = None
    mirror: Optional[Mirror] = None

    @property
    def name(self) -> str:
        """Fit for a file."""
        return f"{self.kind.replace(' ', '-')}-{self.number}"


def crossing(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Two go past each other; a third goes with one of them; one overtakes another."""
    near, far = rng.uniform(4.8, 5.4), rng.uniform(6.0, 6.6)
    people = [
        Person(cast[number], ((0, -2.0, near), (5, 2.0, near))),
        Person(cast[number + 1], ((0, 2.2, far), (5, -2.2, far))),
    ]
    if number == 1:
        people.append(Person(cast[number + 4], ((0, -1.0, far + 0.9), (5, 1.4, far + 0.9))))
    if number == 2:
        people[1] = Person(cast[number + 3], ((0, -1.2, far), (5, 0.9, far)))
    return Scene("crossing", number, 5.5, tuple(people))


def hidden(seconds: float) -> Callable[[int, Sequence[Actor], np.random.Generator], Scene]:
    """Somebody goes behind a wall and is not seen at all for so long."""

    def scene(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
        z, wall_z = rng.uniform(5.6, 6.2), 4.4
        width = (WALK_M_S * seconds + BODY_M) * wall_z / z
        half = 0.42 * z
        begin, end = 0.3, 0.3 + 2 * half / WALK_M_S
        goes = Person(cast[number + 1], ((0, -half, z), (begin, -half, z), (end, half, z)))
        if number == 0:  # another stands beside
            other = Person(cast[number + 3], ((0, 2.6, z + 1.2), (0.1, 2.5, z + 1.2)))
        elif number == 1:  # another comes the other way: they pass each other out of sight
            other = Person(cast[number + 3], ((0, half, z + 0.8), (begin, half, z + 0.8), (end, -half, z + 0.8)))
        else:  # out again where they went in; another goes before the wall
            middle = (begin + end) / 2
            goes = Person(cast[number + 1], ((0, -half, z), (begin, -half, z), (middle, 0, z), (end, -half, z)))
            other = Person(cast[number + 3], ((0, 1.9, 4.0), (end, -1.5, 4.0)))
        return Scene(f"hidden {seconds:g} s", number, end + 0.6, (goes, other), Wall(0, width, wall_z))

    return scene


def leaving(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Somebody leaves the picture and comes back: at the same side, at the other, two in another order."""
    z, away_s = rng.uniform(5.0, 5.6), (1.5, 2.8, 4.0)[number]
    edge = z / 2 + BODY_M / 2
    out_s = 1.0 + edge / WALK_M_S
    side = edge if number == 1 else -edge
    away = ((out_s, -edge, z), (out_s + 0.001, side, z), (out_s + away_s, side, z))
    back = ((0.0, 0.0, z), (1.0, -0.1, z), *away, (out_s + away_s + 2.0, side * 0.2, z))
    stays = Person(cast[number + 4], ((0, 1.3, z + 1.0), (9, 1.0, z + 1.0)))
    if number == 2:
        stays = Person(cast[number + 4], ((0, 0.8, z + 1), (1.5, 0.8, z + 1), (4.5, 4.3, z + 1), (6.5, 4.3, z + 1), (9, 1.2, z + 1)))
    return Scene("leaving", number, out_s + away_s + 2.2, (Person(cast[number + 2], back), stays))


def same_clothes(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Two in the same clothes cross, meet and turn round, or one goes past the other."""
    near, far = rng.uniform(5.0, 5.4), rng.uniform(6.0, 6.4)
    one, other = cast[-2:]
    ways: list[tuple[Way, Way]] = [
        (((0, -2.0, near), (5, 2.0, near)), ((0, 2.2, far), (5, -2.2, far))),
        (((0, -1.9, near), (2.5, 0.1, near), (5, -1.9, near)), ((0, 2.0, far), (2.5, -0.1, far), (5, 2.0, far))),
        (((0, -2.0, near), (5, 2.0, near)), ((0, 0.1, far), (5, -0.1, far))),
    ]
    return Scene("same clothes", number, 5.4, (Person(one, ways[number][0]), Person(other, ways[number][1])))


def embrace(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Two come together, stay in each other's arms for two seconds, and part, back or past each other."""
    z, apart = rng.uniform(4.9, 5.4), rng.uniform(0.3, 0.42) / 2
    sides = (-1, 1) if number != 1 else (1, -1)
    one, other = (
        Person(
            cast[2 * number + at],
            ((0, side * 1.7, z + lag), (1.7, side * apart, z + lag), (3.7, side * apart, z + lag), (5.6, sides[at] * 1.7, z + lag)),
        )
        for at, (side, lag) in enumerate(((-1, 0.0), (1, 0.15)))
    )
    return Scene("embrace", number, 5.8, (one, other))


def mirror(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Somebody goes along a mirror on the wall behind, up to one at the side, or two do."""
    z = rng.uniform(4.8, 5.2)
    glass = Mirror(1.1, False, (600, 900)) if number == 1 else Mirror(6.6, True, (300, 900))
    people = [Person(cast[number + 5], ((0, -1.8, z), (2.6, 0.6, z), (5.4, -1.4, z)))]
    if number == 2:
        people.append(Person(cast[number], ((0, 1.9, z + 0.8), (5, -0.6, z + 0.8))))
    return Scene("mirror image", number, 5.5, tuple(people), mirror=glass)


def crowd(number: int, cast: Sequence[Actor], rng: np.random.Generator) -> Scene:
    """Eight walk about, of whom four can be followed."""
    people = []
    for at, actor in enumerate(cast[:8]):
        z = 4.9 + 0.55 * at + rng.uniform(-0.15, 0.15)
        x, times = rng.uniform(-1, 1) * 0.42 * z, np.arange(0, 12, rng.uniform(2.4, 3.6))
        way = [(0.0, float(x), z)]
        for time in times[1:]:
            x = np.clip(x + rng.choice([-1, 1]) * rng.uniform(1.2, 2.8), -0.44 * z, 0.44 * z)
            way.append((float(time), float(x), z))
        people.append(Person(actor, tuple(way)))
    return Scene("crowd", number, 8.0, tuple(people))


KINDS: Mapping[str, Callable[[int, Sequence[Actor], np.random.Generator], Scene]] = {
    "crossing": crossing,
    **{f"hidden {seconds:g} s": hidden(seconds) for seconds in (0.5, 1.0, 2.0)},
    "leaving": leaving,
    "same clothes": same_clothes,
    "embrace": embrace,
    "mirror image": mirror,
    "crowd": crowd,
}
"""What is reported on, and what makes a scene of it out of its number and eight people and two in the same clothes."""


def scenes_of(kind: str, cast: Sequence[Actor]) -> list[Scene]:
    """The clips of one kind with these people."""
    seed = [ord(letter) for letter in f"{kind} {cast[0].name}"]
    return [KINDS[kind](number, cast, np.random.default_rng([*seed, number])) for number in range(CLIPS)]
