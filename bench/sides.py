"""What the constants of `models/lifting/sides.py` do: `python -m bench.sides MOTION_FOLDER` measures them on recorded motion.

People whom no training reads are filmed by random cameras; a made-up detector (`models/training/detector.py`) disturbs their keypoints, but
does not exchange sides. Then the pairs of an arm, a leg, the face or the whole body are exchanged, in each clip once for 5 frames and once
for 30. The first table has the errors of the predictions that the constants of the error model describe. The second has, for each constant
as it is, halved and doubled: pairs that were turned in a frame where they were right, and pairs that were not turned where they were
exchanged, in thousandths of all pairs and of the exchanged ones; and the median error of the predictions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Bools, Doubles, Floats
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.lifting import sides
from poselift.models.training.bodies import body_scale, keypoints_of, random_likeness
from poselift.models.training.cameras import in_picture, random_cameras, to_camera_axes
from poselift.models.training.detector import disturb
from poselift.models.training.motion import RATE_HZ, load_motion, sample_motion

CLIPS, FRAMES, SEED = 60, 300, 1
PX = 1000
"""Of a picture's longer side: keypoints are in pixels."""
LENGTHS = (5, 30)
PARTS = (slice(0, 8), slice(0, 2), slice(2, 5), slice(3, 5), slice(5, 8), slice(6, 8))
"""The pairs that are exchanged together: the body, the face, the arms, elbows and wrists, the legs, knees and ankles."""
GAPS = (1, 2, 4, 7)
"""Frames since a keypoint was seen."""
CONSTANTS: tuple[str, ...] = (
    *("PLACE_S", "SPEED_S", "COASTING_S", "NOISE", "UNREST_PER_S", "FREEDOM", "SPREAD_S", "MAX_SPREAD", "FIRST_SPREAD", "FORGET_S"),
    *("GROWING_S", "SHRINKING_S", "MAX_GROWTH", "LIMB_COST", "BODY_COST", "RETURN_COST", "FOLLOWS", "MISFIT", "OUTSIDE", "CUT"),
    *("EARNING", "MAX_TRUST_S", "CLEAR_PAIR", "CLEAR_BODY", "DOUBT", "SUSPICIOUS", "DISTRUST_S"),
)


class Counts(NamedTuple):
    """Of one setting of the constants."""

    wrong: float
    """Pairs turned that were right, of all that were right."""
    missed: float
    """Pairs not turned that were exchanged, of all that were exchanged."""
    error: float
    """The median distance of a keypoint from its prediction, in sizes of the body."""


def people(path: Path) -> Floats:
    """Keypoints [CLIPS, FRAMES, 17, 3] (x px, y px, confidence)."""
    rng = np.random.default_rng(SEED)
    joints_m, _ = sample_motion(load_motion(path, "validation"), rng, CLIPS, FRAMES, tempo_spread=0)
    cameras = random_cameras(rng, joints_m)
    points = to_camera_axes(keypoints_of(joints_m, random_likeness(rng, CLIPS, FRAMES)), cameras)
    root = to_camera_axes(joints_m, cameras)[:, :, :1, 2]
    depth = (points[..., 2] - root) / body_scale(joints_m[:, 0])[:, None, None]
    keypoints = disturb(rng, PX * in_picture(points, cameras), depth)
    keypoints[keypoints[..., 2] == 0] = 0
    return keypoints[:, :, : len(COCO_KEYPOINTS)]


def exchanged(keypoints: Floats, number: int) -> Iterator[tuple[Floats, Bools]]:
    """The clip as it is and exchanged for a while: keypoints [FRAMES, 17, 3], and which pairs [FRAMES, 8] are exchanged."""
    rng = np.random.default_rng((SEED, number))
    yield keypoints, np.zeros((FRAMES, sides.PAIRS), np.bool_)
    for length in LENGTHS:
        which = np.zeros((FRAMES, sides.PAIRS), np.bool_)
        begin = int(rng.integers(round(RATE_HZ), FRAMES - 2 * length))
        which[begin : begin + length, PARTS[int(rng.integers(len(PARTS)))]] = True
        pairs = keypoints[:, 1:].reshape(FRAMES, sides.PAIRS, 2, 3)
        turned = np.where(which[..., None, None], pairs[:, :, ::-1], pairs).reshape(FRAMES, 16, 3)
        yield np.concatenate([keypoints[:, :1], turned], 1), which


def followed(keypoints: Floats) -> tuple[Bools, Doubles]:
    """Which pairs [FRAMES, 8] are turned, and how far each keypoint is from its prediction [FRAMES, 8, 2, 2]: x and y, in body sizes.

    NaN for what is not seen or not expected anywhere.
    """
    person, step_s = sides.Sides(), 1 / RATE_HZ
    turned, errors = np.zeros((FRAMES, sides.PAIRS), np.bool_), np.full((FRAMES, sides.PAIRS, 2, 2), np.nan)
    for frame, points in enumerate(keypoints):
        coasting_s = sides.COASTING_S * (1 - np.exp(-step_s / sides.COASTING_S))
        predicted, known = person._place + person._speed * coasting_s, person._unseen_s + step_s <= sides.FORGET_S
        righted = person.undo(round(frame * step_s * 1e9), points)[1:].reshape(sides.PAIRS, 2, 3)
        turned[frame] = person.exchanged
        off = (righted[..., :2] - np.stack([predicted.real, predicted.imag], -1)) / max(person._size_px, 1)
        errors[frame] = np.where((known & (righted[..., 2] > 0))[..., None], off, np.nan)
    return turned, errors


def count(clips: Floats) -> Counts:
    """How often the constants as they are now are right."""
    wrong, missed, right, all_exchanged = 0, 0, 0, 0
    errors = []
    for number, keypoints in enumerate(clips):
        for shown, which in exchanged(keypoints, number):
            turned, error = followed(shown)
            wrong, right = wrong + int((turned & ~which).sum()), right + int((~which).sum())
            missed, all_exchanged = missed + int((which & ~turned).sum()), all_exchanged + int(which.sum())
            if not which.any():
                errors.append(np.linalg.norm(error, axis=-1).ravel())
    return Counts(1000 * wrong / right, 1000 * missed / all_exchanged, float(np.nanmedian(np.concatenate(errors))))


def spread_by_gap(clips: Floats) -> Sequence[tuple[int, float, float]]:
    """For each of GAPS: the 50 % and 68 % quantiles of the predictions' error per axis, in body sizes."""
    found = []
    for gap in GAPS:
        errors = []
        for keypoints in clips:
            shown = keypoints.copy()
            seen_again = np.arange(30, FRAMES, 30)
            for frame in seen_again:
                shown[frame - gap + 1 : frame] = 0
            errors.append(np.abs(followed(shown)[1][seen_again]).ravel())
        of_all = np.concatenate(errors)
        found.append((gap, float(np.nanquantile(of_all, 0.5)), float(np.nanquantile(of_all, 0.683))))
    return found


def half_distance(clips: Floats) -> float:
    """The median of half the distance between a pair's two keypoints, where all are seen, in body sizes."""
    shown = clips[(clips[..., 2] > 0).all(-1)][..., :2]
    pairs = shown[:, 1:].reshape(-1, sides.PAIRS, 2, 2)
    return float(np.median(np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1) / 2 / np.ptp(shown, axis=1).max(-1)[:, None]))


def freedom(clips: Floats) -> tuple[float, float]:
    """Degrees of freedom and scale, in body sizes, of the likeliest two-dimensional t distribution of the predictions' errors."""
    errors = np.concatenate([followed(keypoints)[1].reshape(-1, 2) for keypoints in clips])
    squared: npt.NDArray[np.float64] = np.square(errors[np.isfinite(errors).all(-1)]).sum(-1)
    grid = [(nu, scale) for nu in (1, 1.5, 2, 3, 4, 6, 10) for scale in np.geomspace(0.001, 0.02, 25)]
    likelihoods = [(-2 * np.log(scale) - (nu / 2 + 1) * np.log1p(squared / scale**2 / nu)).mean() for nu, scale in grid]
    nu, scale = grid[int(np.argmax(likelihoods))]
    return float(nu), float(scale)


def main(path: Path) -> None:
    """Print both tables."""
    clips = people(path)
    for gap, median, quantile in spread_by_gap(clips):
        usual = float(np.hypot(sides.NOISE, sides.UNREST_PER_S * gap / RATE_HZ))
        print(f"{gap} frames after it was seen: 50 % within {median:.4f}, 68 % within {quantile:.4f} body sizes; `sides` takes {usual:.4f}")
    print(f"half of the distance between a pair's keypoints: {half_distance(clips):.3f} body sizes, median")
    print("likeliest t distribution: {:g} degrees of freedom, scale {:.4f}".format(*freedom(clips)), flush=True)
    base = count(clips)
    print(f"{'':14}{'value':>8}  turned wrongly  not turned  error of the prediction", flush=True)
    print(f"{'as they are':22}{base.wrong:12.2f}{base.missed:14.1f}{base.error:15.4f}", flush=True)
    for name in CONSTANTS:
        value = getattr(sides, name)
        for factor in (0.5, 2.0):
            setattr(sides, name, factor * value)
            found = count(clips)
            print(f"{name:14}{factor * value:8.4g}{found.wrong:12.2f}{found.missed:14.1f}{found.error:15.4f}", flush=True)
        setattr(sides, name, value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
