"""The judge's own figures, beside its baseline and a mean pose; by joint and by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.accuracy import judge as judging
from bench.accuracy.judge import FPS
from bench.accuracy.lifting import lift, with_confidence
from bench.accuracy.measures import scaled_errors_mm
from bench.accuracy.pictures import OTHER, OURS, OURS_CLEAN, picture
from bench.accuracy.study import SETS, Finding, Study
from bench.accuracy.words import readable
from bench.part import Goal, Grid, require
from poselift.common.skeleton import H36M_JOINTS

Floats = npt.NDArray[np.float64]
Clips = Mapping[str, Floats]

MEASURES = ("MPJPE", "N-MPJPE", "PA-MPJPE", "MPJVE")
GOALS = {"N-MPJPE": 0.55, "PA-MPJPE": 0.60, "MPJVE": 0.50}
"""Parts of the ridge regression's, noisy."""
EXTREMES = 5
SAME_M = 1e-4
METHOD = (
    "`poselift lift` runs on the judge's two datasets, and the judge scores what it wrote. Ridge is the judge's baseline: one linear map "
    "from the keypoints of a single frame. The mean pose is the mean of the training people before the judge's cameras, the same in every "
    "frame. Errors are in millimetres, MPJVE in millimetres a frame (at 30 fps). The judge's own output:"
)


def measure(study: Study) -> Finding:
    """Tables of both datasets, of joints, of the worst and the best clips."""
    baselines = dict(np.load(study.datasets / "baselines.npz"))
    truths, seen = _truths(study), {kind: _seen(study, kind) for kind in SETS}
    ours = {kind: {name: poses.joints_m for name, poses in study.poses[kind].items()} for kind in SETS}
    _require_the_same(study, seen["noisy"], ours["noisy"])
    ridge = {
        kind: {name: (study.judge.features(points) @ baselines["ridge"]).reshape(-1, 17, 3) for name, points in seen[kind].items()}
        for kind in SETS
    }
    mean = {name: np.broadcast_to(baselines["mean"], truth.shape) for name, truth in truths.items()}

    rows: list[tuple[str, ...]] = []
    parts: dict[str, float] = {}
    mean_row = _figures(study, truths, mean)
    for kind in SETS:
        our_row, ridge_row = _figures(study, truths, ours[kind]), _figures(study, truths, ridge[kind])
        parts = {name: our / its for name, our, its in zip(MEASURES, our_row, ridge_row)}  # those of the last, noisy, stay
        rows.append((f"{kind}: the lifter", *_texts(our_row)))
        rows.append((f"{kind}: ridge, one frame", *_texts(ridge_row)))
        rows.append((f"{kind}: the lifter, divided by ridge", *(f"{part:.2f}" for part in parts.values())))
    rows.append(("the mean pose", *_texts(mean_row)))
    goals = [
        Goal(f"{name}, noisy, divided by the ridge regression's", f"{parts[name]:.3f}", f"at most {goal:.2f}", parts[name] <= goal)
        for name, goal in GOALS.items()
    ]
    joints = {f"lifter, {kind}": _by_joint(truths, ours[kind]) for kind in SETS} | {"ridge, noisy": _by_joint(truths, ridge["noisy"])}
    _draw(study, joints)
    return Finding(
        METHOD,
        goals,
        [
            ("", Grid(("", *MEASURES), rows)),
            ("By joint, N-MPJPE, both sides together:", _joint_grid(joints)),
            (
                f"The {EXTREMES} clips with the largest N-MPJPE, noisy, and the {EXTREMES} with the smallest:",
                _clip_grid(study, truths, ours["noisy"]),
            ),
        ],
        [("accuracy-joints.png", "N-MPJPE of every joint, clean and noisy, beside the ridge regression's")],
        judging.score(study.judge, study.datasets, study.lifted),
    )


def _truths(study: Study) -> Clips:
    with np.load(study.datasets / "truth.npz") as file:
        return {scene.name: file[scene.name].astype(np.float64) for scene in study.scenes}


def _seen(study: Study, kind: str) -> Clips:
    """Keypoints [T, 17, 2] of each clip."""
    with np.load(study.datasets / f"{kind}.npz", allow_pickle=True) as file:  # the judge's own file, made a moment ago
        videos = file["positions_2d"].item()
    return {scene.name: videos[scene.name]["custom"][0] for scene in study.scenes}


def _require_the_same(study: Study, seen: Clips, ours: Clips) -> None:
    """The other parts make their own keypoints and use the class: both must be what the judge and the command gave here."""
    scene = min(study.scenes, key=lambda scene: len(scene.joints_m))
    times_s = scene.times_s(FPS)
    noisy_px = scene.noisy_px(scene.clean_px(scene.cut(times_s)))
    require(np.allclose(noisy_px, seen[scene.name], atol=0.01), f"{scene.name}: not the judge's keypoints")
    lifted = lift(study.model, with_confidence(noisy_px)[None], times_s, scene.width_px, scene.height_px)
    off_m = float(np.abs(lifted.joints_m[0] - ours[scene.name]).max())
    require(off_m < SAME_M, f"{scene.name}: the class and the command differ by {1000 * off_m:.2f} mm")


def _figures(study: Study, truths: Clips, poses: Clips) -> Sequence[float]:
    figures: list[float] = study.judge.errors((truths[name], poses[name]) for name in truths)
    return figures


def _texts(figures: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{figure:.1f}" for figure in figures)


def _by_joint(truths: Clips, poses: Clips) -> Floats:
    """N-MPJPE [17] of each joint."""
    mean: Floats = np.concatenate([scaled_errors_mm(truths[name], poses[name]) for name in truths]).mean(0)
    return mean


def _joint_grid(joints: Mapping[str, Floats]) -> Grid:
    kinds = list(dict.fromkeys(_kind(joint) for joint in H36M_JOINTS[1:]))
    of = {kind: [number for number, joint in enumerate(H36M_JOINTS) if number and _kind(joint) == kind] for kind in kinds}
    order = sorted(kinds, key=lambda kind: -joints["lifter, noisy"][of[kind]].mean())
    return Grid(("", *joints), [(kind, *(f"{errors[of[kind]].mean():.0f}" for errors in joints.values())) for kind in order])


def _kind(joint: str) -> str:
    return joint.rpartition("_")[2]


def _clip_grid(study: Study, truths: Clips, ours: Clips) -> Grid:
    figures = {name: _figures(study, {name: truths[name]}, ours) for name in truths}
    order = sorted(figures, key=lambda name: -figures[name][1])
    shown = order if len(order) <= 2 * EXTREMES else [*order[:EXTREMES], *order[-EXTREMES:]]
    rows = [(name, f"{len(truths[name]) / FPS:.1f}", *_texts(figures[name])) for name in shown]
    return Grid(("clip", "seconds", *MEASURES), rows)


def _draw(study: Study, joints: Mapping[str, Floats]) -> None:
    order = sorted(range(1, len(H36M_JOINTS)), key=lambda joint: -joints["lifter, noisy"][joint])
    at = np.arange(len(order))
    with picture(study.images / "accuracy-joints.png") as axes:
        axes.bar(at, joints["ridge, noisy"][order], 0.85, color=OTHER, alpha=0.6, label="ridge, noisy")
        axes.bar(at - 0.17, joints["lifter, noisy"][order], 0.32, color=OURS, label="lifter, noisy")
        axes.bar(at + 0.17, joints["lifter, clean"][order], 0.32, color=OURS_CLEAN, label="lifter, clean")
        axes.set_xticks(at, [readable(H36M_JOINTS[joint]) for joint in order], rotation=40, ha="right")
        axes.grid(axis="x", visible=False)
        axes.set(ylabel="N-MPJPE, mm", title="Error of each joint")
        axes.legend()
