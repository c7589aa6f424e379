"""A person who stands still: how much the joints tremble from the detector's noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS, Scene
from bench.accuracy.lifting import lift, with_confidence
from bench.accuracy.measures import tremble_mm
from bench.accuracy.pictures import GOAL, OURS, picture
from bench.accuracy.study import Finding, Study
from bench.accuracy.words import readable
from bench.part import Goal, Grid
from poselift.common.skeleton import H36M_JOINTS
from poselift.models.backends.backend import Model

Floats = npt.NDArray[np.float64]

STILL_FRAMES, MEASURED_FRAMES = 3 * FPS, 2 * FPS
POSES = 8
"""Of each clip."""
GOAL_MM = 5.0
SEED = 8
METHOD = (
    f"{POSES} poses of each held-out clip, drawn at random, are held still for {STILL_FRAMES / FPS:.0f} seconds before the clip's camera, "
    "and seen with the judge's noise. Trembling is the root mean square distance of a joint from its mean place in the last "
    f"{MEASURED_FRAMES / FPS:.0f} seconds, root-relative, in 3D (the root itself, which cannot move, is left out)."
)


def measure(study: Study) -> Finding:
    """A row for each joint."""
    each_mm = np.concatenate([tremble(study.model, scene, number) for number, scene in enumerate(study.scenes)])[:, 1:]
    joints_mm, all_mm = _rms(each_mm, 0), float(_rms(each_mm, None))
    names, order = H36M_JOINTS[1:], np.argsort(-joints_mm)
    worst = int(order[0])
    goals = [
        Goal("trembling of a still person's joints, all of them", f"{all_mm:.1f} mm", f"below {GOAL_MM:g} mm", all_mm < GOAL_MM),
        Goal(
            f"trembling of a still person's worst joint ({readable(names[worst])})",
            f"{joints_mm[worst]:.1f} mm",
            f"below {GOAL_MM:g} mm",
            bool(joints_mm[worst] < GOAL_MM),
        ),
    ]
    rows = [
        (readable(names[joint]), f"{joints_mm[joint]:.1f} mm", *(f"{value:.1f} mm" for value in _spread(each_mm[:, joint])))
        for joint in order
    ]
    _draw(study, [names[joint] for joint in order], joints_mm[order])
    grid = Grid(("joint", "trembling", "median person", "95 % are below"), rows)
    return Finding(METHOD, goals, [("", grid)], [("accuracy-stillness.png", "how much each joint of a still person trembles")])


def tremble(model: Model, scene: Scene, number: int) -> Floats:
    """Trembling [POSES, 17] of people who keep poses of a scene, mm."""
    rng = np.random.default_rng((SEED, number))
    poses_m = scene.cut(rng.uniform(0, scene.times_s(FPS)[-1], POSES))
    times_s = np.arange(STILL_FRAMES) / FPS
    seen = [scene.noisy_px(scene.clean_px(np.repeat(pose_m[None], STILL_FRAMES, 0)), int(rng.integers(2**31))) for pose_m in poses_m]
    poses = lift(model, with_confidence(np.stack(seen)), times_s, scene.width_px, scene.height_px)
    return tremble_mm(poses.joints_m[:, -MEASURED_FRAMES:])


def _rms(values: Floats, axis: int | None) -> Floats:
    return np.asarray(np.sqrt(np.square(values).mean(axis)))


def _spread(values: Floats) -> Floats:
    return np.asarray(np.percentile(values, (50, 95)))


def _draw(study: Study, names: Sequence[str], joints_mm: Floats) -> None:
    with picture(study.images / "accuracy-stillness.png") as axes:
        axes.bar(range(len(names)), joints_mm, color=OURS)
        axes.set_xticks(range(len(names)), [readable(name) for name in names], rotation=40, ha="right")
        axes.axhline(GOAL_MM, color=GOAL, ls="--", label="goal")
        axes.grid(axis="x", visible=False)
        axes.set(ylabel="mm RMS", title="Trembling of a still person's joints")
        axes.legend()
