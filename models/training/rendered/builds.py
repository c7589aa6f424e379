"""People of all ages, builds and colours: MakeHuman's shapes and looks, drawn at random."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from poselift.models.training.rendered.looks import Colour, Look

AGES = (("baby", 0.0), ("child", 0.1875), ("young", 0.5), ("old", 1.0))
"""MakeHuman's ages: about 1, 10, 25 and 90 years. Between them shapes are mixed."""
RACES = ("african", "asian", "caucasian")
SKINS = ((236, 200, 178), (222, 182, 150), (208, 166, 134), (176, 128, 96), (140, 98, 72), (104, 70, 52), (72, 48, 36))
HAIRS = ((24, 20, 18), (60, 42, 30), (112, 76, 44), (176, 138, 84), (214, 190, 140), (150, 148, 146), (120, 52, 30))


class Build(NamedTuple):
    """A body; every number is MakeHuman's, from 0 to 1."""

    male: float
    age: float
    """See AGES."""
    muscle: float
    weight: float
    height: float
    """0.5 is the average of this age and sex."""
    races: tuple[float, float, float]
    """Shares of RACES, summing to 1."""


def random_build(rng: np.random.Generator) -> Build:
    """A fifth are children of about 5 to 15 years; adults are of all weights and heights, extremes included."""
    kind = rng.random()
    age = rng.uniform(0.1, 0.35) if kind < 0.2 else rng.uniform(0.42, 0.7) if kind < 0.85 else rng.uniform(0.7, 1)
    male = float(np.clip(round(rng.random()) + rng.normal(0, 0.12), 0, 1))
    muscle, weight, height = np.clip(rng.normal((0.5, 0.52, 0.5), (0.2, 0.25, 0.17)), 0, 1)
    races = rng.dirichlet((0.4, 0.4, 0.4))
    return Build(male, float(age), float(muscle), float(weight), float(height), (float(races[0]), float(races[1]), float(races[2])))


def shapes(build: Build) -> list[tuple[str, float]]:
    """The names of MakeHuman's shapes that make this body, each with its weight: products of the shares (macrodetails/macro.json)."""
    sexes = (("female", 1 - build.male), ("male", build.male))
    ages = _between(AGES, build.age)
    muscles = _between((("minmuscle", 0), ("averagemuscle", 0.5), ("maxmuscle", 1)), build.muscle)
    weights = _between((("minweight", 0), ("averageweight", 0.5), ("maxweight", 1)), build.weight)
    heights = _between((("minheight", 0), ("", 0.5), ("maxheight", 1)), build.height)
    found = [(f"{race}-{sex}-{age}", p * q * r) for (race, p), (sex, q), (age, r) in product(zip(RACES, build.races), sexes, ages)]
    for (sex, p), (age, q), (muscle, r), (weight, s) in product(sexes, ages, muscles, weights):
        share, name = p * q * r * s, f"{sex}-{age}-{muscle}-{weight}"
        found.append((f"universal-{name}", share))
        found += [(f"height/{name}-{height}", share * t) for height, t in heights if height]
    return [(name, share) for name, share in found if share > 0]


def random_look(rng: np.random.Generator, build: Build) -> Look:
    """Clothes, hair and colours."""
    short = rng.random() < 0.35
    grey = (178, 176, 172)
    hair = grey if build.age > 0.75 and rng.random() < 0.7 else HAIRS[rng.integers(len(HAIRS))]
    return Look(
        shapes=tuple(shapes(build)),
        skin=_varied(rng, SKINS[rng.integers(len(SKINS))], 0.06),
        hair=_varied(rng, hair, 0.15),
        shirt=_cloth(rng),
        trousers=_cloth(rng),
        shoes=_cloth(rng),
        hair_to_m=float(rng.uniform(-0.02, 0.08) if rng.random() < 0.5 + 0.4 * build.male else rng.uniform(0.08, 0.25)),
        sleeve=float(rng.choice([0.0, 0.2, 0.3, 0.5, 0.95, 1.0])),
        leg=float(rng.uniform(0.3, 0.6) if short else rng.uniform(0.85, 1)),
        stripes=float(rng.uniform(0.2, 0.9) if rng.random() < 0.2 else 0),
    )


def _between(stops: tuple[tuple[str, float], ...], value: float) -> list[tuple[str, float]]:
    """The names of the stops on both sides of a value, with their shares."""
    for (low, start), (high, end) in zip(stops, stops[1:]):
        if value <= end:
            part = (value - start) / (end - start)
            return [(low, 1 - part), (high, part)]
    return [(stops[-1][0], 1.0)]


def _cloth(rng: np.random.Generator) -> Colour:
    """Often black, grey or blue, else anything."""
    if rng.random() < 0.45:
        grey = rng.uniform(15, 235)
        return _varied(rng, (grey, grey, min(grey * rng.uniform(1, 1.3), 255)), 0.05)
    return _varied(rng, rng.uniform(15, 240, 3), 0)


def _varied(rng: np.random.Generator, colour: np.typing.ArrayLike, spread: float) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) * np.exp(rng.normal(0, spread, 3) / 2 + rng.normal(0, spread)), 0, 255).astype(int)
    return int(red), int(green), int(blue)
