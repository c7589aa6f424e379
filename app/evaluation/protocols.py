"""The errors of many trials as the published tables have them: by action, and the average of the actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Errors(NamedTuple):
    """Errors of root-relative poses under each protocol, in millimetres."""

    mpjpe_mm: float
    """Protocol 1: the mean distance of the joints."""
    pa_mpjpe_mm: float
    """Protocol 2: after the best similarity transform for each frame."""
    n_mpjpe_mm: float
    """Protocol 3: after the best scale for each frame."""
    mpjve_mm: float
    """Of the joints' movement from each frame to the next."""


class Scored(NamedTuple):
    """One trial's errors, over all its frames."""

    action: str
    frames: int
    errors: Errors


def by_action(scored: Iterable[Scored], actions: Sequence[str]) -> dict[str, Scored]:
    """The mean over an action's frames, of all its trials together; the actions that there are, in that order."""
    trials: dict[str, list[Scored]] = {action: [] for action in actions}
    for trial in scored:
        trials[trial.action].append(trial)
    return {action: _together(action, of_action) for action, of_action in trials.items() if of_action}


def average(table: Mapping[str, Scored]) -> Errors:
    """The mean of the actions: each counts alike, however many frames it has."""
    return Errors(*np.mean([row.errors for row in table.values()], 0).tolist())


def _together(action: str, trials: Sequence[Scored]) -> Scored:
    frames = [trial.frames for trial in trials]
    means = np.average([trial.errors for trial in trials], 0, weights=frames)
    return Scored(action, sum(frames), Errors(*means.tolist()))
