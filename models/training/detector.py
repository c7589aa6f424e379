"""The errors of a 2D detector: it trembles, drifts, jumps, loses joints and takes left for right; its confidence says some of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINT_MIRROR, KEYPOINTS

DIFFICULTY = np.array([0.6] * 5 + [0.9, 0.9, 1.1, 1.1, 1.4, 1.4, 1.1, 1.1, 1.0, 1.0, 1.3, 1.3, 1.4, 1.4, 1.4, 1.4], np.float32)
"""Error of each keypoint beside the others'."""

KNOTS = (3, 6, 10, 16)
"""Frames between two knots of a drift."""

EVERYTHING, FEET = np.arange(len(KEYPOINTS)), np.arange(len(COCO_KEYPOINTS), len(KEYPOINTS))
LEGS, ARMS = np.arange(11, len(KEYPOINTS)), np.arange(5, 11)
LEFT_FOOT, RIGHT_FOOT = np.array([15, 17, 18]), np.array([16, 19, 20])
LEFT_FOREARM, RIGHT_FOREARM = np.array([7, 9]), np.array([8, 10])
LIMBS = np.array([7, 8, 9, 10, 13, 14, 15, 16, *FEET])
"""Elbows, wrists, knees, ankles and feet."""
WITHOUT_FEET = 0.2
"""Share of the sequences that are from a detector which knows COCO's 17 keypoints only."""

LAPSE_FRAMES = 4
"""How long a limb's keypoint lies elsewhere at a time, on average."""


def detect(rng: np.random.Generator, points: Floats, depth: Floats) -> Floats:
    """As `disturb`, and then left and right are exchanged in some frames."""
    keypoints = disturb(rng, points, depth)
    return swap(keypoints, swaps(rng, *points.shape[:2]))


def disturb(rng: np.random.Generator, points: Floats, depth: Floats) -> Floats:
    """Keypoints [N, L, 21, 3] (x, y, confidence) as detected, of true points [N, L, 21, 2]; any unit of length.

    `depth` [N, L, 21]: how far each joint lies behind the root, in body sizes: what is far is often hidden. Half of the sequences are
    from a detector like BlazePose, as it was measured on rendered people (`bench/rendered`): it hardly trembles, drifts by a hundredth
    of the body's size, and its confidence tells what is hidden, not what is wrong. Of the others' confidence some tells both. One
    sequence in three has confidence 1 throughout, as from a detector that gives none; one in five has no feet.
    """
    count, length = points.shape[:2]
    size = np.ptp(points[:, :, : len(COCO_KEYPOINTS)], axis=2).max(-1).mean(1)[:, None, None]
    calm = rng.random((count, 1, 1)) < 0.5
    level = difficulty(rng, depth)
    level[rng.random(count) < 0.12] *= 0.1
    white, drift = rng.uniform(0.001, 0.011, (2, count, 1, 1)).astype(np.float32)
    white = np.where(calm, 0.3 * white, white)
    error = white * _normal(rng, count, length, len(KEYPOINTS), 2).transpose(3, 0, 1, 2) + 1.3 * drift * _drift(rng, count, length)
    error = (error * level).transpose(1, 2, 3, 0)
    jumps = rng.random((count, length, len(KEYPOINTS)), np.float32) < 0.02 * rng.random((count, 1, 1), np.float32)
    error[jumps] += _normal(rng, int(jumps.sum()), 2) * 0.06
    error += lapses(rng, depth)
    lost, wild = lose(rng, count, length), rng.random((count, 1, 1)) < 0.6
    astray = rng.uniform(0.03, 0.12, (count, 1, 1, 1))
    error += np.where(lost[..., None], astray * _drift(rng, count, length).transpose(1, 2, 3, 0), 0)

    off = np.sqrt(np.square(error).sum(-1))
    scatter = _normal(rng, count, length, len(KEYPOINTS))
    telling = 1 - rng.uniform(0.02, 0.2, (count, 1, 1)) - 6 * off * (1 + 0.3 * scatter) + 0.05 * scatter
    confidence = np.where(calm, np.clip(1 - 0.03 * np.abs(scatter), 0.3, 1), np.clip(telling, 0.3, 1))
    confidence = np.where(lost, np.where(wild, rng.uniform(0.02, 0.4, (count, 1, 1)), 0), confidence)
    confidence = np.where((rng.random((count, 1, 1)) < 0.33) & ~lost, 1, confidence)
    confidence[rng.random(count) < WITHOUT_FEET, :, FEET.min() :] = 0
    return np.concatenate([points + error * size[..., None], confidence[..., None]], -1, dtype=np.float32)


def lapses(rng: np.random.Generator, depth: Floats) -> Floats:
    """Errors [N, L, 21, 2], in body sizes, of limbs that are taken for something else for some frames; more often of what is far."""
    count, length = depth.shape[:2]
    begins = 0.03 * rng.random((count, 1, 1)) * (1 + np.clip(depth[:, :, LIMBS], 0, 1))
    chance = rng.random((2, length, count, len(LIMBS)), np.float32)
    where = 0.06 * _normal(rng, length, count, len(LIMBS), 2)
    errors = np.zeros((count, length, len(KEYPOINTS), 2), np.float32)
    lapsed, place = chance[0, 0] < LAPSE_FRAMES * begins[:, 0], where[0]
    for frame in range(length):
        errors[:, frame, LIMBS] = lapsed[..., None] * place
        starts = ~lapsed & (chance[0, frame] < begins[:, frame])
        place = np.where(starts[..., None], where[frame], place)
        lapsed = starts | lapsed & (chance[1, frame] > 1 / LAPSE_FRAMES)
    return errors


def difficulty(rng: np.random.Generator, depth: Floats) -> Floats:
    """Factor [N, L, 21] on the errors: by joint and by depth, each more or less so from sequence to sequence."""
    by_joint, by_depth = rng.uniform(0, 1.3, (len(depth), 1, 1)), rng.uniform(0, 1, (len(depth), 1, 1))
    return np.asarray(DIFFICULTY**by_joint * (1 + by_depth * np.clip(depth, 0, 1)), np.float32)


def lose(rng: np.random.Generator, count: int, length: int) -> Bools:
    """Which keypoints [N, L, 21] are not seen, for a while or all the time: single ones, a forearm, a foot, legs, arms or everything."""
    lost = np.zeros((count, length, len(KEYPOINTS)), bool)
    parts = [
        (LEFT_FOREARM, 0.08),
        (RIGHT_FOREARM, 0.08),
        (LEGS, 0.05),
        (ARMS, 0.02),
        (FEET, 0.05),
        (LEFT_FOOT, 0.04),
        (RIGHT_FOOT, 0.04),
        (EVERYTHING, 0.02),
    ]
    for joints, share in [(None, 0.25), (None, 0.15), *parts]:
        for n in np.flatnonzero(rng.random(count) < share):
            first = int(rng.integers(-length // 2, length))
            run = slice(max(first, 0), first + int(rng.integers(2, length)))
            lost[n, run, rng.integers(len(KEYPOINTS)) if joints is None else joints] = True
    return lost


def swaps(rng: np.random.Generator, count: int, length: int) -> Bools:
    """Where left and right are exchanged, [N, L, 21]: of the whole body, the legs or the arms, for one to ten frames."""
    swapped = np.zeros((count, length, len(KEYPOINTS)), bool)
    for joints, share in [(EVERYTHING, 0.03), (LEGS, 0.03), (ARMS, 0.02)]:
        for n in np.flatnonzero(rng.random(count) < share):
            first = int(rng.integers(length))
            swapped[n, first : first + int(rng.integers(1, 11)), joints[:, None]] = True
    return swapped


def swap(keypoints: Floats, swapped: Bools) -> Floats:
    """The keypoints, each taken from the other side where `swapped` says so."""
    return np.where(swapped[..., None], keypoints[:, :, KEYPOINT_MIRROR], keypoints)


def _drift(rng: np.random.Generator, count: int, length: int) -> Floats:
    """Slow errors [2, N, L, 21] of spread about 1: lines between random knots, whose distance differs between sequences."""
    which = rng.integers(len(KNOTS), size=count)
    knots = _normal(rng, 2, count, length // min(KNOTS) + 2, len(KEYPOINTS))
    return np.asarray(np.matmul(_between_knots(length)[which], knots), np.float32)


@lru_cache
def _between_knots(length: int) -> Floats:
    """[4, L, K]: each frame's shares of the two knots around it, for each distance between knots."""
    at = np.arange(length) / np.array(KNOTS)[:, None]
    knots = np.arange(length // min(KNOTS) + 2)
    return np.asarray(np.maximum(1 - np.abs(at[..., None] - knots), 0), np.float32)


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    return np.asarray(rng.standard_normal(shape, np.float32))
