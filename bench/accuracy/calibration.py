"""Whether the stated standard deviations are true, and whether they grow where they should."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bench.accuracy.judge import FPS
from bench.accuracy.measures import joint_errors_mm, share_within
from bench.accuracy.pictures import LINES, picture
from bench.accuracy.stretches import Stretch, stretches
from bench.accuracy.study import SETS, Finding, Study
from bench.accuracy.words import percent, readable
from bench.part import Goal, Grid
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS

Floats = npt.NDArray[np.float64]

NORMAL = {1: 0.6827, 2: 0.9545, 3: 0.9973}
"""The parts of a normal distribution within so many standard deviations."""
WANTED = {1: 0.68, 2: 0.95}
MARGIN = 0.05
CURVE = np.linspace(0, 3, 61)
AXES = ("x (right)", "y (down)", "z (forward)")
JUMP = 0.15
"""Of the body's size in the picture."""
UNSURE = 0.3
"""The confidence of a keypoint that is unsure."""
PROBED = ("left_elbow", "right_wrist", "left_knee", "right_ankle")
SEED = 7
METHOD = (
    "`sigma_m` is the standard deviation that the lifter states for every joint and axis. If it is right, 68 % of all coordinates lie "
    "within one of it and 95 % within two. Measured on the judge's datasets and counted as the judge does (every joint but the root)."
)
NONE = "This lifter states no standard deviations (`sigma_m` is NaN), so there is nothing to show."
GROWTH = (
    "How sigma and error of a joint change when its keypoint is bad, on the noisy set (root mean square over stretches of a second, all "
    "axes together). First both as they are, then as multiples of that: while the keypoint is missing (for a second), while it jumps by "
    f"{percent(JUMP, 0)} of the body's size (in the one frame of the jump), and while it is unsure (in its place, with confidence "
    f"{UNSURE:g}, for a second):"
)

Coordinates = Mapping[str, tuple[Floats, Floats]]
"""For each of SETS, errors and sigmas [N, 16, 3], metres."""


def measure(study: Study) -> Finding:
    """Shares of all coordinates, by axis and by joint; growth of sigma."""
    found = _coordinates(study)
    if not all(np.isfinite(sigmas).all() for _, sigmas in found.values()):
        return Finding(
            f"{METHOD}\n\n{NONE}",
            [Goal("coordinates within their stated sigma", "none is stated", "68 % within one, 95 % within two", False)],
        )
    goals = [_goal(kind, multiple, *found[kind]) for kind in SETS for multiple in WANTED]
    growth = probe(study)
    goals += [_growth_goal(what, growth) for what in ("missing", "jumps", "unsure")]
    _draw(study, found)
    grids = [("", _shares(found)), ("By joint, noisy, both sides together:", _by_joint(*found["noisy"])), (GROWTH, _growth_grid(growth))]
    return Finding(
        METHOD,
        goals,
        grids,
        [("accuracy-calibration.png", "the part of the coordinates within so many stated sigmas, beside a normal distribution's")],
    )


def _coordinates(study: Study) -> Coordinates:
    with np.load(study.datasets / "truth.npz") as truth:
        return {
            kind: (
                np.concatenate([(truth[name] - poses.joints_m)[:, 1:] for name, poses in of.items()]),
                np.concatenate([poses.sigma_m[:, 1:] for poses in of.values()]),
            )
            for kind, of in study.poses.items()
        }


def _goal(kind: str, multiple: int, errors: Floats, sigmas: Floats) -> Goal:
    share = float(share_within(errors, sigmas, [multiple])[0])
    wanted = WANTED[multiple]
    what = f"coordinates within {'one' if multiple == 1 else 'two'} stated sigma, {kind}"
    return Goal(what, percent(share), f"{percent(wanted, 0)} ± {100 * MARGIN:.0f} points", abs(share - wanted) <= MARGIN)


def _shares(found: Coordinates) -> Grid:
    rows = []
    for kind, (errors, sigmas) in found.items():
        rows.append((f"{kind}: all", *_cells(errors, sigmas)))
        rows += [(f"{kind}: {name}", *_cells(errors[..., axis], sigmas[..., axis])) for axis, name in enumerate(AXES)]
    rows.append(("a normal distribution", *(percent(share) for share in NORMAL.values()), "", ""))
    return Grid(("", *(f"within {multiple} sigma" for multiple in NORMAL), "RMS error, mm", "RMS sigma, mm"), rows)


def _by_joint(errors: Floats, sigmas: Floats) -> Grid:
    kinds: dict[str, list[int]] = {}
    for number, joint in enumerate(H36M_JOINTS[1:]):
        kinds.setdefault(joint.rpartition("_")[2], []).append(number)
    rows = [(kind, *_cells(errors[:, of], sigmas[:, of])) for kind, of in kinds.items()]
    return Grid(("", *(f"within {multiple} sigma" for multiple in NORMAL), "RMS error, mm", "RMS sigma, mm"), rows)


def _cells(errors: Floats, sigmas: Floats) -> tuple[str, ...]:
    shares = share_within(errors, sigmas, list(NORMAL))
    return (*(percent(share) for share in shares), f"{1000 * _rms(errors):.0f}", f"{1000 * _rms(sigmas):.0f}")


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))


def disturb(keypoints: Floats, begin: int, keypoint: int, rng: np.random.Generator) -> Mapping[str, Floats]:
    """The keypoints [T, 17, 3] in which one is missing, jumps or is unsure from that frame on."""
    missing, jumps, unsure = keypoints.copy(), keypoints.copy(), keypoints.copy()
    second = slice(begin, begin + FPS)
    angle, size = rng.uniform(0, 2 * np.pi), np.ptp(keypoints[begin, :, :2], axis=0).max()
    missing[second, keypoint] = 0
    jumps[begin, keypoint, :2] += JUMP * size * np.array([np.cos(angle), np.sin(angle)])
    unsure[second, keypoint, 2] = UNSURE
    return {"missing": missing, "jumps": jumps, "unsure": unsure}


def probe(study: Study) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """For each of PROBED, by what is done to it: mean squares of sigma and of the error, as roots, mm."""
    rng = np.random.default_rng(SEED)
    sums = np.mean([_squares(study, stretch, rng) for stretch in stretches(study.scenes, FPS, 0, 1)], axis=0)
    kinds = ("as it is", "as it is, one frame", "missing", "jumps", "unsure")
    return {name: {kind: tuple(np.sqrt(sums[row, column])) for column, kind in enumerate(kinds)} for row, name in enumerate(PROBED)}


def _squares(study: Study, stretch: Stretch, rng: np.random.Generator) -> Floats:
    """Mean squares [PROBED, 5, 2] of one stretch, mm2."""
    keypoints = [COCO_KEYPOINTS.index(name) for name in PROBED]
    poses = stretch.lift(
        study.model, [way for keypoint in keypoints for way in disturb(stretch.keypoints, stretch.begin, keypoint, rng).values()]
    )
    sigma_mm = 1000 * np.sqrt(np.square(poses.sigma_m[:, stretch.begin :]).sum(-1))
    error_mm = joint_errors_mm(stretch.truth_m[stretch.begin :], poses.joints_m[:, stretch.begin :])
    squares = np.square(np.stack([sigma_mm, error_mm], -1))
    rows = []
    for number, name in enumerate(PROBED):
        joint = H36M_JOINTS.index(name)
        as_it_is, (missing, jumps, unsure) = squares[0, :, joint], squares[1 + 3 * number : 4 + 3 * number, :, joint]
        rows.append([as_it_is.mean(0), as_it_is[0], missing.mean(0), jumps[0], unsure.mean(0)])
    return np.array(rows)


def _multiple(found: Mapping[str, tuple[float, float]], what: str, value: int) -> float:
    return found[what][value] / found["as it is, one frame" if what == "jumps" else "as it is"][value]


def _growth_goal(what: str, growth: Mapping[str, Mapping[str, tuple[float, float]]]) -> Goal:
    least = min(growth, key=lambda name: _multiple(growth[name], what, 0))
    multiple = _multiple(growth[least], what, 0)
    return Goal(
        f"growth of sigma where the keypoint {'is ' * (what != 'jumps')}{what}: the least ({readable(least)})",
        f"{multiple:.2f} times",
        "more than 1",
        multiple > 1,
    )


def _growth_grid(growth: Mapping[str, Mapping[str, tuple[float, float]]]) -> Grid:
    kinds = ("missing", "jumps", "unsure")
    rows = []
    for name, found in growth.items():
        cells = []
        for value in (0, 1):
            cells += [f"{found['as it is'][value]:.0f} mm", *(f"{_multiple(found, kind, value):.2f}" for kind in kinds)]
        rows.append((readable(name), *cells))
    return Grid(("", "sigma", *kinds, "RMS error", *kinds), rows)


def _draw(study: Study, found: Coordinates) -> None:
    normal = share_within(np.random.default_rng(SEED).normal(size=400_000), np.ones(1), list(CURVE))
    with picture(study.images / "accuracy-calibration.png", len(SETS), 4.2, 10) as panels:
        for axes, (kind, (errors, sigmas)) in zip(panels, found.items()):
            axes.plot(CURVE, normal, color="black", ls="--", lw=1, label="normal distribution")
            axes.plot(CURVE, share_within(errors, sigmas, list(CURVE)), color=LINES[0], lw=2.5, label="all axes")
            for axis, colour in zip(range(3), LINES[1:]):
                axes.plot(CURVE, share_within(errors[..., axis], sigmas[..., axis], list(CURVE)), color=colour, lw=1, label=AXES[axis])
            for multiple, wanted in WANTED.items():
                axes.errorbar(multiple, wanted, MARGIN, color="#c0392b", capsize=4, lw=1.2)
            axes.set(
                title=f"{kind} keypoints", xlabel="stated sigmas", ylabel="part of the coordinates within", ylim=(0, 1.02), xlim=(0, 3)
            )
        panels[0].legend()
