"""Keypoints that are hidden for a second: what it does to the other joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS
from bench.accuracy.measures import joint_errors_mm
from bench.accuracy.pictures import GOAL, OURS, OURS_CLEAN, picture
from bench.accuracy.stretches import Stretch, indices, stretches
from bench.accuracy.study import Finding, Study
from bench.accuracy.words import change, readable
from bench.part import Goal, Grid
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models.lifting.lifter import CONFIDENCE_OF_KEYPOINTS

Floats = npt.NDArray[np.float64]

HIDDEN_FRAMES = FPS
REPEATS = 2
GOAL_GROWTH = 0.10
LEGS = {"both legs (knees, ankles)": ("knee", "ankle"), "both legs and hips": ("hip", "knee", "ankle")}
ARMS_AND_HEAD = indices(("neck", "head", "shoulder", "elbow", "wrist"), H36M_JOINTS)
METHOD = (
    "On the judge's noisy keypoints, each keypoint in turn is hidden for one second (it is missing: confidence 0), in a stretch of each "
    f"clip drawn at random after its first second, {REPEATS} times. The error is that of the same frames with and without hiding. It is "
    "MPJPE, root-relative as the judge's but without a best scale, which would spread a hidden joint's error over the others. The others "
    "are all joints that are not derived from the hidden keypoint; when both legs are hidden, they are arms and head (neck, head, "
    "shoulders, elbows, wrists)."
)


class Growth(NamedTuple):
    """What hiding some keypoints does; mean errors in mm."""

    own_seen: float
    own_hidden: float
    others_seen: float
    others_hidden: float

    @property
    def share(self) -> float:
        """By how much of itself the others' error grows."""
        return self.others_hidden / self.others_seen - 1


def hidings() -> Mapping[str, list[int]]:
    """What is hidden at once: keypoints by name."""
    single = {name: [number] for number, name in enumerate(COCO_KEYPOINTS)}
    return {**single, **{name: indices(parts, COCO_KEYPOINTS) for name, parts in LEGS.items()}}


def hide(keypoints: Floats, frames: slice, hidden: Sequence[int]) -> Floats:
    """The keypoints [T, 17, 3], some missing in those frames."""
    changed: Floats = keypoints.copy()
    changed[frames, hidden] = 0
    return changed


def derived(hidden: Sequence[int]) -> list[int]:
    """The joints that are told by those keypoints, the root left out: its error is always 0."""
    return [joint for joint in range(1, len(H36M_JOINTS)) if CONFIDENCE_OF_KEYPOINTS[list(hidden), joint].any()]


def measure(study: Study) -> Finding:
    """A row for each keypoint and for the legs."""
    found = compare(study)
    single = [name for name in found if name not in LEGS]
    worst = max(single, key=lambda name: found[name].share)
    goals = [_goal(f"growth of the other joints' error while a keypoint is hidden: the most ({readable(worst)})", found[worst])]
    goals += [_goal(f"growth of the error of arms and head, {name} hidden", found[name]) for name in LEGS]
    _draw(study, found)
    columns = ("hidden", "its joints, seen", "its joints, hidden", "the others, seen", "the others, hidden", "growth")
    rows = [(readable(name), *(f"{value:.1f}" for value in growth), change(growth.share)) for name, growth in found.items()]
    shows = "by how much the other joints' error grows while each keypoint is hidden"
    return Finding(METHOD, goals, [("", Grid(columns, rows))], [("accuracy-occlusion.png", shows)])


def compare(study: Study) -> Mapping[str, Growth]:
    """What every hiding does."""
    hidden = hidings()
    errors = np.mean(
        [_errors(study, stretch, list(hidden.values())) for stretch in stretches(study.scenes, HIDDEN_FRAMES, 0, REPEATS)], axis=0
    )
    return {name: _growth(errors[0], errors[row], hidden[name], name in LEGS) for row, name in enumerate(hidden, 1)}


def _errors(study: Study, stretch: Stretch, hidden: Sequence[Sequence[int]]) -> Floats:
    """Mean error [1 + H, 17] in the hidden second: as it is, and with each of H hidings."""
    frames = slice(stretch.begin, stretch.begin + HIDDEN_FRAMES)
    poses = stretch.lift(study.model, [hide(stretch.keypoints, frames, each) for each in hidden])
    mean: Floats = joint_errors_mm(stretch.truth_m[frames], poses.joints_m[:, frames]).mean(1)
    return mean


def _growth(seen: Floats, hidden: Floats, keypoints: Sequence[int], legs: bool) -> Growth:
    own = derived(keypoints)
    others = ARMS_AND_HEAD if legs else [joint for joint in range(1, len(H36M_JOINTS)) if joint not in own]
    return Growth(float(seen[own].mean()), float(hidden[own].mean()), float(seen[others].mean()), float(hidden[others].mean()))


def _goal(what: str, growth: Growth) -> Goal:
    return Goal(what, change(growth.share), f"at most {change(GOAL_GROWTH, 0)}", growth.share <= GOAL_GROWTH)


def _draw(study: Study, found: Mapping[str, Growth]) -> None:
    with picture(study.images / "accuracy-occlusion.png") as axes:
        axes.bar(
            range(len(found)),
            [100 * growth.share for growth in found.values()],
            color=[OURS_CLEAN if name in LEGS else OURS for name in found],
        )
        axes.set_xticks(range(len(found)), [readable(name) for name in found], rotation=40, ha="right")
        axes.axhline(100 * GOAL_GROWTH, color=GOAL, ls="--", label="goal")
        axes.axhline(0, color="black", lw=0.8)
        axes.grid(axis="x", visible=False)
        axes.set(ylabel="%", title="Growth of the other joints' error while a keypoint is hidden")
        axes.legend()
