"""What a part of the bench is given and what it hands over. A part that finds wrong outputs hands over nothing: it raises WrongOutput."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poselift.app.config import Config


class WrongOutput(Exception):
    """What was run computed something wrong, so its speed means nothing. One line for people."""


class Setup(NamedTuple):
    """What every part is given."""

    config: Config
    quick: bool
    """The shortest run that goes through everything; its figures mean nothing."""
    minutes: float
    """Length of the memory part."""
    scratch: Path
    """A folder on disk that is removed afterwards."""


class Grid(NamedTuple):
    """One table of figures."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Goal(NamedTuple):
    """What was hoped for and what came of it."""

    what: str
    measured: str
    goal: str
    met: bool


class Result(NamedTuple):
    """What a part found."""

    method: str
    """What was measured, how, and which outputs were checked."""
    grids: list[Grid]
    goals: list[Goal]


def require(true: bool, otherwise: str) -> None:
    """Raise WrongOutput(otherwise) unless `true`."""
    if not true:
        raise WrongOutput(otherwise)


def milliseconds(durations_ns: Sequence[int], *percents: float) -> tuple[float, ...]:
    """Percentiles of durations in ns, in ms."""
    return tuple(float(value) / 1e6 for value in np.percentile(np.asarray(durations_ns, np.int64), percents))
