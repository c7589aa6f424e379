"""The held-out motion seen at other rates, at uneven times, and with frames missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS, Scene
from bench.accuracy.lifting import lift, with_confidence
from bench.accuracy.measures import Shifts, scaled_errors_mm, shifted
from bench.accuracy.pictures import GOAL, LINES, OTHER, OURS, OURS_CLEAN, picture
from bench.accuracy.study import Finding, Study
from bench.accuracy.words import change, percent
from bench.part import Goal, Grid
from poselift.models.backends.backend import Model

Floats = npt.NDArray[np.float64]

RATES_HZ = (24, 25, 30, 50, 60)
JITTER = 0.2
"""Of the period, to either side."""
DROPPED = 0.1
SHIFTS_S = np.arange(-10, 11) / 100
GOAL_CHANGE, GOAL_DELAY_S = 0.05, 0.5 / FPS
SEED = 4
STEADY = f"{FPS} fps"
METHOD = (
    "The held-out motion at other rates. Joints move linearly between the clip's own frames, before the judge's camera. Each frame has "
    "the judge's noise as it comes (its slow part changes with every frame, whatever the rate). Jittered: every picture is taken up to "
    f"{percent(JITTER, 0)} of a period early or late, and its true time is stated. Dropped: the judge's own noisy frames, a tenth of them "
    f"left out at random. Each measurement is compared with the steady {FPS} fps run at the same moments (its error linear between its "
    "frames). Another draw of the noise shows what chance alone does. Delay: how much earlier the truth has to be taken for the error to "
    "be least, in steps of 10 ms, refined by a parabola; above 0 the poses come late. The delay at 30 fps is the network's own smoothing."
)


class Seen(NamedTuple):
    """A scene as it is filmed."""

    times_s: Floats
    noisy_px: Floats


class Errors(NamedTuple):
    """Of one way to film, over all scenes; N-MPJPE in mm."""

    frames: int
    error: float
    steady: float
    """The steady run's at the same moments."""
    shifts: Shifts


def steady(scene: Scene, rate_hz: float, seed: int | None = None) -> Seen:
    """At even times, with the judge's noise or with another draw of it."""
    return _filmed(scene, scene.times_s(rate_hz), seed)


def jittered(scene: Scene, rate_hz: float) -> Seen:
    """At uneven times."""
    times_s = scene.times_s(rate_hz)
    off = np.random.default_rng((SEED, round(rate_hz))).uniform(-JITTER, JITTER, len(times_s)) / rate_hz
    return _filmed(scene, np.clip(times_s + off, 0, times_s[-1]), None)


def dropped(scene: Scene) -> Seen:
    """The judge's frames without some of them; the first is always there."""
    kept = np.random.default_rng(SEED).random(len(scene.times_s(FPS))) >= DROPPED
    kept[0] = True
    return Seen(*(values[kept] for values in steady(scene, FPS)))


def _filmed(scene: Scene, times_s: Floats, seed: int | None) -> Seen:
    return Seen(times_s, scene.noisy_px(scene.clean_px(scene.cut(times_s)), seed))


def ways() -> Mapping[str, Callable[[Scene], Seen]]:
    """Every way to film a scene, the steady one first."""
    even = {f"{rate} fps": lambda scene, rate=rate: steady(scene, rate) for rate in (FPS, *(rate for rate in RATES_HZ if rate != FPS))}
    uneven = {f"{rate} fps, jittered": lambda scene, rate=rate: jittered(scene, rate) for rate in RATES_HZ}
    return {
        **even,
        **uneven,
        f"{FPS} fps, a tenth dropped": dropped,
        f"{FPS} fps, another draw of the noise": lambda scene: steady(scene, FPS, SEED),
    }


def measure(study: Study) -> Finding:
    """A row for each way."""
    errors = compare(study.model, study.scenes)
    others = {name: found for name, found in errors.items() if name != STEADY and "another" not in name}
    worst = max(others, key=lambda name: _growth(others[name]))
    late = max(others, key=lambda name: others[name].shifts.delay_s)
    own_s = errors[STEADY].shifts.delay_s
    added_s = others[late].shifts.delay_s - own_s
    goals = [
        Goal(
            f"N-MPJPE against {FPS} fps at the same moments, noisy: the worst ({worst})",
            change(_growth(others[worst])),
            f"at most {change(GOAL_CHANGE, 0)}",
            _growth(others[worst]) <= GOAL_CHANGE,
        ),
        Goal(
            f"delay that another rate adds: the most ({late})",
            f"{1000 * added_s:+.0f} ms to {1000 * own_s:.0f} ms",
            "less than half a frame",
            added_s < GOAL_DELAY_S,
        ),
    ]
    _draw(study, errors)
    columns = ("", "frames", "N-MPJPE, noisy", f"at {FPS} fps then", "change", "delay")
    grid = Grid(columns, [_row(name, found) for name, found in errors.items()])
    return Finding(
        METHOD,
        goals,
        [("", grid)],
        [("accuracy-rate.png", "the change of the error at each rate, and the error against the time the truth is taken from")],
    )


def compare(model: Model, scenes: list[Scene]) -> Mapping[str, Errors]:
    """The errors of every way."""
    base: dict[str, tuple[Floats, Floats]] = {}
    return {name: _errors(model, scenes, film, base) for name, film in ways().items()}


def _errors(model: Model, scenes: list[Scene], film: Callable[[Scene], Seen], base: dict[str, tuple[Floats, Floats]]) -> Errors:
    """The first call fills `base`: by scene, the times and the errors [T] of the steady run."""
    total, total_steady, total_shifts, frames, shift_frames = 0.0, 0.0, np.zeros(len(SHIFTS_S)), 0, 0
    for scene in scenes:
        seen = film(scene)
        joints_m = lift(model, with_confidence(seen.noisy_px)[None], seen.times_s, scene.width_px, scene.height_px).joints_m[0]
        errors = scaled_errors_mm(scene.truth_m(seen.times_s), joints_m).mean(-1)
        times_s, steady_errors = base.setdefault(scene.name, (seen.times_s, errors))
        total += float(errors.sum())
        total_steady += float(np.interp(seen.times_s, times_s, steady_errors).sum())
        frames += len(errors)
        at_shifts, count = shifted(scene.truth_m, seen.times_s, joints_m, SHIFTS_S)
        total_shifts, shift_frames = total_shifts + at_shifts, shift_frames + count
    return Errors(frames, total / frames, total_steady / frames, Shifts(SHIFTS_S, total_shifts / shift_frames))


def _growth(found: Errors) -> float:
    return found.error / found.steady - 1


def _row(name: str, found: Errors) -> tuple[str, ...]:
    return (
        name,
        f"{found.frames}",
        f"{found.error:.1f}",
        f"{found.steady:.1f}",
        change(_growth(found)),
        f"{1000 * found.shifts.delay_s:+.1f} ms",
    )


def _draw(study: Study, errors: Mapping[str, Errors]) -> None:
    shown = [name for name in errors if name != STEADY]
    colours = [OTHER if "another" in name else OURS_CLEAN if "," in name else OURS for name in shown]
    with picture(study.images / "accuracy-rate.png", 2, 4.2, 11) as (left, right):
        left.barh(range(len(shown)), [100 * _growth(errors[name]) for name in shown], color=colours)
        left.set_yticks(range(len(shown)), shown)
        left.invert_yaxis()
        left.axvline(0, color="black", lw=0.8)
        left.axvline(100 * GOAL_CHANGE, color=GOAL, ls="--", label="goal")
        left.grid(axis="y", visible=False)
        left.set(xlabel="%", title=f"N-MPJPE, noisy, against {FPS} fps at the same moments")
        left.legend(loc="lower right")
        for rate, colour in zip(RATES_HZ, LINES):
            shifts = errors[f"{rate} fps"].shifts
            right.plot(1000 * shifts.shifts_s, shifts.errors_mm, color=colour, label=f"{rate} fps, late by {1000 * shifts.delay_s:.0f} ms")
        right.axvline(0, color="black", lw=0.8)
        right.set(xlabel="truth taken earlier by, ms", ylabel="N-MPJPE, mm", title="Delay: where the error is least")
        right.legend()
