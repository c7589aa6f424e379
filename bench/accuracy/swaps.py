"""Left and right exchanged by the detector for a while: how far the poses go off, and how soon they are back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.measures import frames_until_back, joint_errors_mm
from bench.accuracy.occlusion import derived
from bench.accuracy.pictures import GOAL, LINES, picture
from bench.accuracy.stretches import Stretch, beginnings, indices, stretches
from bench.accuracy.study import Finding, Study
from bench.accuracy.words import percent
from bench.part import Goal, Grid
from poselift.common.skeleton import COCO_KEYPOINTS, COCO_MIRROR

Floats = npt.NDArray[np.float64]

LENGTHS = (5, 30)
AFTER = 10
"""Frames that are looked at after a swap's end."""
SHOWN_AFTER = (1, 2, 3, 5, 10)
REPEATS = 3
GOAL_DURING, GOAL_BACK_FRAMES, BACK = 2.0, 5, 1.10
GROUPS = {
    "whole body": COCO_KEYPOINTS,
    "arms (shoulders, elbows, wrists)": ("shoulder", "elbow", "wrist"),
    "elbows, wrists": ("elbow", "wrist"),
    "wrists": ("wrist",),
    "legs (hips, knees, ankles)": ("hip", "knee", "ankle"),
    "knees, ankles": ("knee", "ankle"),
    "ankles": ("ankle",),
}
METHOD = (
    f"On the judge's noisy keypoints, left and right are exchanged for {LENGTHS[0]} frames or for {LENGTHS[1]}, in a stretch of each clip "
    f"drawn at random after its first second, {REPEATS} times. The error (MPJPE over all joints, and over the exchanged ones alone) is "
    f"divided by that of the same frames without the swap: while the swap lasts, and 1 to {AFTER} frames after its end. Back after: the "
    f"number of frames after which the error stays within {percent(BACK - 1, 0)} of the unswapped one (as far as {AFTER} frames tell)."
)


class Ratios(NamedTuple):
    """The error with a swap, divided by the error without."""

    during: float
    during_exchanged: float
    """Of the exchanged joints alone."""
    course: Floats
    """[frames]: of each frame from the swap's beginning on."""
    length: int

    @property
    def after(self) -> list[float]:
        """1, 2, ... AFTER frames after the swap's end."""
        return [float(ratio) for ratio in self.course[self.length : self.length + AFTER]]

    @property
    def back_frames(self) -> int | None:
        """See `frames_until_back`."""
        return frames_until_back(self.after, BACK)


def swap(keypoints: Floats, frames: slice, exchanged: Sequence[int]) -> Floats:
    """The keypoints [T, 17, 3], some of them exchanged with their counterparts in those frames."""
    changed: Floats = keypoints.copy()
    changed[frames, exchanged] = keypoints[frames][:, [COCO_MIRROR[keypoint] for keypoint in exchanged]]
    return changed


def measure(study: Study) -> Finding:
    """A table for each length, and one for swaps from a clip's first frame on."""
    longest = max(LENGTHS) + AFTER
    found = compare(study, stretches(study.scenes, longest, 0, REPEATS))
    at_first = compare(study, beginnings(study.scenes, longest))
    goals = [goal for length in LENGTHS for goal in _goals(length, found[length])]
    _draw(study, found)
    grids = [(f"For {length} frames:", _grid(found[length])) for length in LENGTHS]
    grids += [
        (f"For {length} frames from the first frame of each clip on, where nothing before tells left from right:", _grid(at_first[length]))
        for length in LENGTHS
    ]
    shows = "the error with a swap, divided by the error without, from the swap's beginning on"
    return Finding(METHOD, goals, grids, [("accuracy-swaps.png", shows)])


def compare(study: Study, pieces: Iterable[Stretch]) -> Mapping[int, Mapping[str, Ratios]]:
    """For each length, what the swap of each group does."""
    groups = [indices(parts, COCO_KEYPOINTS) for parts in GROUPS.values()]
    kinds = [(length, group) for length in LENGTHS for group in groups]
    errors = np.mean([_errors(study, stretch, kinds) for stretch in pieces], axis=0)
    ratios = [_ratios(errors[0], errors[row], *kind) for row, kind in enumerate(kinds, 1)]
    return {length: dict(zip(GROUPS, ratios[number * len(GROUPS) :])) for number, length in enumerate(LENGTHS)}


def _errors(study: Study, stretch: Stretch, kinds: Sequence[tuple[int, Sequence[int]]]) -> Floats:
    """Errors [1 + K, T, 17] from the swap's beginning on: as it is, and with each of K swaps."""
    begin = stretch.begin
    poses = stretch.lift(study.model, [swap(stretch.keypoints, slice(begin, begin + length), group) for length, group in kinds])
    return joint_errors_mm(stretch.truth_m[begin:], poses.joints_m[:, begin:])


def _ratios(unswapped: Floats, swapped: Floats, length: int, group: Sequence[int]) -> Ratios:
    own = derived(group)
    return Ratios(
        float(swapped[:length].mean() / unswapped[:length].mean()),
        float(swapped[:length, own].mean() / unswapped[:length, own].mean()),
        swapped.mean(-1) / unswapped.mean(-1),
        length,
    )


def _goals(length: int, found: Mapping[str, Ratios]) -> list[Goal]:
    worst = max(found, key=lambda name: found[name].during)
    slowest = max(found, key=lambda name: _or_never(found[name]))
    return [
        Goal(
            f"error during a swap of {length} frames, divided by the unswapped: the worst ({worst})",
            f"{found[worst].during:.2f}",
            f"at most {GOAL_DURING:g}",
            found[worst].during <= GOAL_DURING,
        ),
        Goal(
            f"frames after a swap of {length} frames until the error is back: the slowest ({slowest})",
            _frames(found[slowest]),
            f"at most {GOAL_BACK_FRAMES}",
            _or_never(found[slowest]) <= GOAL_BACK_FRAMES,
        ),
    ]


def _or_never(ratios: Ratios) -> int:
    return ratios.back_frames or AFTER + 1


def _frames(ratios: Ratios) -> str:
    return f"{ratios.back_frames or f'more than {AFTER}'}"


def _grid(found: Mapping[str, Ratios]) -> Grid:
    columns = ("exchanged", "during", "these joints alone", *(f"+{frames}" for frames in SHOWN_AFTER), "back after")
    return Grid(columns, [(name, *_row(ratios)) for name, ratios in found.items()])


def _row(ratios: Ratios) -> tuple[str, ...]:
    after = [ratios.after[frames - 1] for frames in SHOWN_AFTER]
    return (*(f"{ratio:.2f}" for ratio in (ratios.during, ratios.during_exchanged, *after)), _frames(ratios))


def _draw(study: Study, found: Mapping[int, Mapping[str, Ratios]]) -> None:
    top = 1.05 * max(ratios.course.max() for of in found.values() for ratios in of.values())
    with picture(study.images / "accuracy-swaps.png", len(LENGTHS), 4.2, 11) as panels:
        for axes, length in zip(panels, LENGTHS):
            for (name, ratios), colour in zip(found[length].items(), LINES):
                course = ratios.course[: length + AFTER]
                axes.plot(range(1, len(course) + 1), course, color=colour, label=name)
            axes.axvspan(0.5, length + 0.5, color="#f0f0f0", zorder=0)
            axes.axhline(GOAL_DURING, color=GOAL, ls="--", lw=1, label="goal while it lasts")
            axes.axhline(BACK, color=GOAL, ls=":", lw=1, label="back")
            axes.set(
                ylim=(0.8, top),
                title=f"Exchanged for {length} frames (grey)",
                xlabel="frames from the swap's beginning",
                ylabel="error with / without the swap",
            )
        panels[0].legend(fontsize=9)
