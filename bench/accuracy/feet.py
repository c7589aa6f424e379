"""Feet: how far they are from the truth, whether they are said to be on the floor, and how still they are while they are on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS, SEED, Steps, steps
from bench.accuracy.lifting import BODY, with_confidence
from bench.accuracy.measures import scaled_errors_mm, tremble_mm
from bench.accuracy.study import SETS, Finding, Study
from bench.part import Goal, Grid, require
from poselift.common.people import People2D
from poselift.common.skeleton import FEET, JOINTS
from poselift.models.backends.backend import Model
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.ticks import NS_PER_S

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ANKLES = [JOINTS.index(f"{side}_ankle") for side in ("left", "right")]
WALKERS = ("08",)
"""CMU subjects who walk, and whom recipes are chosen by: training does not read them either."""
STANCE_FRAMES = FPS // 3
"""A contact that lasts so long counts for how still a foot is."""
OF_ANKLES, F1, SLIDE_MM = 1.15, 0.85, 15.0
"""Goals, noisy."""
METHOD = (
    "The judge's held-out people once more, with the feet's keypoints; and in the same way the walks of CMU subject 08, whom training does "
    "not read. N-MPJPE: with the scale of the 17 joints. Against the leg: after hips, knee and ankle are laid onto the true ones; both as "
    "the judge measures them. Contact: a heel or toe that is less than 5 cm above the floor and slower than 0.3 m/s; F1 of all four "
    "together. Slide: the root mean square distance of a heel or toe from its mean place, over true contacts of a third of a second or "
    "longer; its place is that from the root, put onto the true root, or onto the `root_m` that the lifter gives; each clip at its best "
    "scale. True feet roll while they are in contact, so they slide a little, too."
)


class Told(NamedTuple):
    """What the lifter says of a clip."""

    joints_m: Floats
    """[T, 21, 3]: from the root."""
    root_m: Floats
    """[T, 3]"""
    contact: Bools
    """[T, 4]"""


class Figures(NamedTuple):
    """Of some clips; mm but for the F1."""

    feet_mm: float
    """N-MPJPE, as the next."""
    ankles_mm: float
    against_leg_mm: float
    f1: float
    on_true_root_mm: float
    """Slide, as the next."""
    on_root_m_mm: float

    def row(self, name: str) -> tuple[str, ...]:
        """For the table."""
        return (name, *(f"{value:.2f}" if of == "f1" else f"{value:.1f}" for of, value in self._asdict().items()))


COLUMNS = ("", "feet N-MPJPE", "ankles N-MPJPE", "feet against the leg", "contact F1", "slide on the true root", "slide on root_m")


def measure(study: Study) -> Finding:
    """Tables of errors and of contacts."""
    if not study.gives_feet:
        return Finding("This lifter gives no feet.", [])
    rows: list[tuple[str, ...]] = []
    noisy: list[Figures] = []
    for name, clips in (
        ("held out", list(steps(study.judge, True, SEED))),
        ("walking", list(steps(study.judge, False, SEED, _walks))),
    ):
        found = {kind: figures(study.judge, clips, [lifted(study.model, clip, kind) for clip in clips]) for kind in SETS}
        rows += [of.row(f"{name}, {kind}") for kind, of in found.items()]
        still_mm = slide_mm(clips, (clip.joints_m for clip in clips))
        rows.append(Figures(0, 0, 0, 1, still_mm, still_mm).row(f"{name}, the truth"))
        noisy.append(found["noisy"])
    return Finding(METHOD, goals(*noisy), [("", Grid(COLUMNS, rows))])


def goals(held_out: Figures, walking: Figures) -> list[Goal]:
    """Of the noisy ones."""
    ratio = held_out.feet_mm / held_out.ankles_mm
    slides_mm = {"the true root": walking.on_true_root_mm, "`root_m`": walking.on_root_m_mm}
    return [
        Goal("feet's N-MPJPE, noisy, divided by the ankles'", f"{ratio:.2f}", f"at most {OF_ANKLES}", ratio <= OF_ANKLES),
        Goal("F1 of contact, noisy", f"{held_out.f1:.2f}", f"at least {F1}", held_out.f1 >= F1),
        *(
            Goal(f"slide of feet in contact, walking, noisy, on {root}", f"{mm:.1f} mm", f"at most {SLIDE_MM:g} mm", mm <= SLIDE_MM)
            for root, mm in slides_mm.items()
        ),
    ]


def lifted(model: Model, clip: Steps, kind: str) -> Told:
    """The lifter's class on a clip's keypoints."""
    lifter = Lifter(model)
    told = []
    for frame, points in enumerate(with_confidence(clip.seen_px[kind])):
        told.append(lifter.step(round(frame * NS_PER_S / FPS), People2D(np.array([1]), points[None]), (clip.width_px, clip.height_px)))
        require(len(told[-1].person) == 1 and bool(np.isfinite(told[-1].joints_m).all()), f"{clip.name}: no whole pose in frame {frame}")
    joints_m, root_m = (np.concatenate([getattr(of, name) for of in told]).astype(np.float64) for name in ("joints_m", "root_m"))
    return Told(joints_m, root_m, np.concatenate([of.contact for of in told]))


def figures(judge: ModuleType, clips: Sequence[Steps], told: Sequence[Told]) -> Figures:
    """What the lifter's poses of these clips are worth."""
    rows, hits, misses = [], 0, 0
    for clip, of in zip(clips, told):
        truth_m = clip.joints_m - clip.joints_m[:, :1]
        ankles_mm = scaled_errors_mm(truth_m[:, :BODY], of.joints_m[:, :BODY])[:, ANKLES].mean(1)
        rows.append(np.stack([*judge.feet_errors(truth_m, of.joints_m), ankles_mm]))
        hits += int((of.contact & clip.contact).sum())
        misses += int((of.contact ^ clip.contact).sum())
    feet_mm, against_leg_mm, ankles_mm = np.concatenate(rows, 1).mean(1).tolist()
    slides_mm = (slide_mm(clips, (at(clip, of) for clip, of in zip(clips, told))) for at in (_on_true_root, _in_camera))
    return Figures(feet_mm, ankles_mm, against_leg_mm, 2 * hits / max(1, 2 * hits + misses), *slides_mm)


def slide_mm(clips: Iterable[Steps], places: Iterable[Floats]) -> float:
    """Root mean square distance of heels and toes from their mean places over true contacts, mm.

    `places` are those of the joints [T, 21, 3] of each clip in axes that stand still.
    """
    squares, frames = 0.0, 0
    for clip, joints_m in zip(clips, places):
        for part in range(len(FEET)):
            for stance in stances(clip.contact[:, part]):
                squares += float(tremble_mm(joints_m[stance, BODY + part, None]).item()) ** 2 * (stance.stop - stance.start)
                frames += stance.stop - stance.start
    return float(np.sqrt(squares / frames)) if frames else float("nan")


def stances(contact: Bools) -> list[slice]:
    """The contacts in [T] that are long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], contact, [False]]).astype(np.int8))).tolist()
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2]) if end - start >= STANCE_FRAMES]


def _walks(name: str) -> bool:
    return name.partition("-")[2].partition("_")[0].lstrip("0").rjust(2, "0") in WALKERS


def _at_best_scale(clip: Steps, told: Told) -> float:
    truth_m, body_m = (clip.joints_m - clip.joints_m[:, :1])[:, :BODY], told.joints_m[:, :BODY]
    return float((truth_m * body_m).sum() / np.square(body_m).sum())


def _on_true_root(clip: Steps, told: Told) -> Floats:
    return _at_best_scale(clip, told) * told.joints_m + clip.joints_m[:, :1]


def _in_camera(clip: Steps, told: Told) -> Floats:
    return _at_best_scale(clip, told) * (told.joints_m + told.root_m[:, None])
