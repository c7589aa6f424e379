"""What is measured of poses. Truth and prediction are [..., 17, 3], metres, from the root; all errors are in millimetres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def joint_errors_mm(truth_m: Floats, predicted_m: Floats) -> Floats:
    """The distance of each joint [..., 17]; its mean is the MPJPE."""
    distance: Floats = np.linalg.norm(truth_m - predicted_m, axis=-1)
    return 1000 * distance


def scaled_errors_mm(truth_m: Floats, predicted_m: Floats) -> Floats:
    """The same [..., 17] after the best scale of each frame; its mean is the N-MPJPE (Rhodin et al. 2018)."""
    scale = (truth_m * predicted_m).sum((-2, -1), keepdims=True) / np.square(predicted_m).sum((-2, -1), keepdims=True).clip(1e-9)
    return joint_errors_mm(truth_m, scale * predicted_m)


class Shifts(NamedTuple):
    """How the error changes where the truth is taken from another time."""

    shifts_s: Floats
    """[S], equally spaced: how much older the truth is than the picture."""
    errors_mm: Floats
    """[S]: N-MPJPE."""

    @property
    def delay_s(self) -> float:
        """Where the error is least: above 0 the poses come late. Between the steps, by the parabola through the least three."""
        least = int(np.clip(np.argmin(self.errors_mm), 1, len(self.shifts_s) - 2))
        before, here, after = self.errors_mm[least - 1 : least + 2]
        bend = before - 2 * here + after
        part = (before - after) / (2 * bend) if bend > 0 else 0.0
        return float(self.shifts_s[least] + part * (self.shifts_s[1] - self.shifts_s[0]))


def shifted(truth_at: Callable[[Floats], Floats], times_s: Floats, predicted_m: Floats, shifts_s: Floats) -> tuple[Floats, int]:
    """Summed error [S] of the poses against the truth of each shift's moment, and of how many poses: those that have truth for all of them.

    `truth_at` gives the truth [T, 17, 3] at times [T]; the poses [T, 17, 3] belong to `times_s`.
    """
    reach = float(np.abs(shifts_s).max())
    inside = (times_s >= reach) & (times_s <= times_s[-1] - reach)
    sums = [scaled_errors_mm(truth_at(times_s[inside] - shift), predicted_m[inside]).mean(-1).sum() for shift in shifts_s]
    return np.array(sums), int(inside.sum())


def frames_until_back(ratios: Sequence[float], limit: float) -> int | None:
    """After how many frames the ratio is within the limit for good; None where it never is. The first ratio is that one frame after."""
    above = [number for number, ratio in enumerate(ratios, 1) if ratio > limit]
    last = above[-1] if above else 0
    return last + 1 if last < len(ratios) else None


def tremble_mm(joints_m: Floats) -> Floats:
    """Root mean square distance [..., 17] of each joint of [..., T, 17, 3] from its mean place."""
    away = joints_m - joints_m.mean(-3, keepdims=True)
    rms: Floats = np.sqrt(np.square(away).sum(-1).mean(-2))
    return 1000 * rms


def share_within(errors: Floats, sigmas: Floats, multiples: Sequence[float]) -> Floats:
    """The part of the errors that are smaller than so many of their standard deviations."""
    ratio = np.abs(errors) / sigmas
    return np.array([(ratio < multiple).mean() for multiple in multiples])
