"""What the network sees of random people before random cameras, and what it should say."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.camera import FOCAL_OF_LONGER_SIDE
from poselift.common.skeleton import FEET
from poselift.models.lifting.person_camera import observe, to_virtual
from poselift.models.training.bodies import (
    BONE_GROUPS,
    body_scale,
    keypoints_of,
    mirror,
    mix,
    pelvis_axes,
    random_likeness,
    reshape,
    turn,
)
from poselift.models.training.borrowed import borrow
from poselift.models.training.cameras import in_picture, random_cameras, to_camera_axes
from poselift.models.training.detector import detect
from poselift.models.training.limbs import LEGS, bend, exchange
from poselift.models.training.motion import Motion, sample_motion
from poselift.models.training.postures import lean, topple
from poselift.models.training.watched_clips import WatchedClips, sample_watched

MAX_BEND = 0.45
"""Greatest spread of the angles by which a sequence's limbs are turned from where they were recorded, about each axis; radians."""
EXCHANGED = (0.18, 0.18, 0.38, 0.38)
"""Share of the sequences that have another clip's right leg, left leg, left arm, right arm."""
LEANING, LYING = 0.15, 0.05
"""Shares of the sequences whose people lean further than they did, and lie."""
BORROWED = 0.5
"""Share of the recorded sequences that are seen with errors which BlazePose made on rendered people, where there are any."""
WITHOUT_DEPTH = 0.4
"""Share of BlazePose's sequences whose depths are withheld: other detectors have none."""
OTHER_FOOT = [FEET.index(name) for name in ("right_heel", "right_toe", "left_heel", "left_toe")]


class Batch(NamedTuple):
    """N sequences of T outputs, with the history that the first of them sees."""

    features: Floats
    """[N, history + T, FEATURES[21]]"""
    poses: Floats
    """[N, T, 21, 3]: root-relative, in the axes of each frame's virtual camera, in body scales"""
    contact: Floats
    """[N, T, 4]: 1 where a heel or toe touches the floor, 0 where not, NaN where nobody knows"""


class Sources(NamedTuple):
    """Where people come from."""

    motion: Motion
    watched: Optional[WatchedClips] = None


def make_batch(
    sources: Sources, rng: np.random.Generator, count: int, outputs: int, history: int, share: float = 0.0, invent: bool = True
) -> Batch:
    """A batch of `count` sequences of `outputs` frames, each preceded by `history` frames; that share of them of rendered people.

    The people are invented ones, to learn from; or those who were recorded, as they moved, to be judged by.
    """
    watched = round(count * share) if sources.watched is not None else 0
    parts = [recorded_part(sources, rng, count - watched, history + outputs, invent)] if watched < count else []
    if sources.watched is not None and watched:
        parts.append(watched_part(sources.watched, rng, watched, history + outputs, invent))
    keypoints, depth, joints_m, contact = (np.concatenate(of) for of in zip(*parts))
    features, view = observe(keypoints, 0, 0, focal_px=1, depth_px=depth)
    scale = body_scale(joints_m[:, 0])[:, None, None, None]
    poses = to_virtual((joints_m - joints_m[:, :, :1]) / scale, view)
    return Batch(start_late(rng, features, history), poses[:, history:], contact[:, history:])


class Seen(NamedTuple):
    """N sequences of L frames of people and their keypoints."""

    keypoints: Floats
    """[N, L, 21, 3]: x and y from the picture's middle in focal lengths as the lifter assumes them, confidence"""
    depth: Floats
    """[N, L, 21]: on the scale of x and y, as a detector tells it; NaN where it does not"""
    joints_m: Floats
    """[N, L, 21, 3]: in the camera's axes"""
    contact: Floats
    """[N, L, 4]"""


def recorded_part(sources: Sources, rng: np.random.Generator, count: int, length: int, invent: bool) -> Seen:
    """Recorded motion before random cameras and a simulated detector, or one with borrowed errors."""
    joints_m, contact = sample_motion(sources.motion, rng, count, length, tempo_spread=0.2 if invent else 0)
    if invent:
        joints_m, contact = random_people(rng, joints_m, contact, sample_motion(sources.motion, rng, count, length)[0])
    cameras = random_cameras(rng, joints_m)
    in_camera = to_camera_axes(joints_m, cameras)
    borrowing = (rng.random(count) < BORROWED) & invent & (sources.watched is not None)
    points = to_camera_axes(keypoints_of(joints_m, random_likeness(rng, count, length, borrowing)), cameras)
    depth = (points[..., 2] - in_camera[:, :, :1, 2]) / body_scale(joints_m[:, 0])[:, None, None]
    seen = in_picture(points, cameras)
    keypoints = detect(rng, seen, depth)
    if sources.watched is not None and borrowing.any():
        keypoints[borrowing] = borrow(sources.watched, rng, seen[borrowing])
    keypoints[..., :2] /= assumed_focal(rng, cameras.focal)[:, None, None, None]
    return Seen(keypoints, np.full(keypoints.shape[:3], np.nan, np.float32), in_camera, contact)


def watched_part(clips: WatchedClips, rng: np.random.Generator, count: int, length: int, invent: bool) -> Seen:
    """Rendered people as BlazePose saw them."""
    keypoints, depth, joints_m, focal = sample_watched(clips, rng, count, length, invent)
    assumed = (focal / assumed_focal(rng, focal))[:, None, None]
    keypoints[..., :2] *= assumed[..., None]
    depth = np.where(rng.random((count, 1, 1)) < WITHOUT_DEPTH, np.float32(np.nan), depth * assumed)
    return Seen(keypoints, depth, joints_m, np.full((count, length, len(FEET)), np.nan, np.float32))


def random_people(rng: np.random.Generator, joints_m: Floats, contact: Floats, others_m: Floats) -> tuple[Floats, Floats]:
    """The motion [N, L, 21, 3] by other people, and the contact [N, L, 4] of their feet, NaN where the legs are no more as recorded.

    Many have others' limbs or upper bodies, or limbs bent otherwise, or they lean or lie; all are of another build.
    """
    count = len(joints_m)
    exchanged = rng.random((count, 4)) < EXCHANGED
    joints_m = exchange(joints_m, others_m[::-1], exchanged)
    bends = rng.uniform(0, MAX_BEND, count) * (rng.random(count) < 0.5)
    joints_m = bend(joints_m, *(bends[:, None, None] * rng.normal(size=(2, count, 4, 3))))
    joints_m = np.where(_chance(rng, count, 0.35), mix(joints_m, others_m), joints_m)
    left, _, forward = np.moveaxis(pelvis_axes(joints_m).mean(1), 1, 0)
    leaning = rng.uniform(-0.4, 1.3, (count, 1)) * left + rng.normal(0, 0.3, (count, 1)) * forward
    joints_m = lean(joints_m, leaning * (rng.random((count, 1)) < LEANING))
    lying, along = rng.random(count) < LYING, rng.uniform(0, 2 * np.pi, count)
    flat = np.stack([np.cos(along), np.sin(along), 0 * along], -1) * (rng.uniform(1.1, 1.7, count) * lying)[:, None]
    joints_m = topple(joints_m, flat)
    as_recorded = ~(exchanged[:, LEGS].any(1) | (bends > 0) | lying)
    mirrored = rng.random(count) < 0.5
    joints_m = np.where(mirrored[:, None, None, None], mirror(joints_m), joints_m)
    contact = np.where(mirrored[:, None, None], contact[..., OTHER_FOOT], contact)
    build = rng.uniform(0.88, 1.12, (count, BONE_GROUPS.max() + 1)) * rng.uniform(0.7, 1.15, (count, 1))
    turned = turn(joints_m, rng.uniform(0, 2 * np.pi, count).astype(np.float32))
    return reshape(turned, build.astype(np.float32)), np.where(as_recorded[:, None, None], contact, np.float32(np.nan))


def assumed_focal(rng: np.random.Generator, focal: Floats) -> Floats:
    """What the lifter takes each focal length [N] for: for most the default, for some nearly the truth; in longer sides."""
    known = focal * np.exp(rng.normal(0, 0.05, len(focal)))
    return np.where(rng.random(len(focal)) < 0.7, FOCAL_OF_LONGER_SIDE, known).astype(np.float32)


def start_late(rng: np.random.Generator, features: Floats, history: int) -> Floats:
    """The features [N, L, F] where one history in seven begins late: before its first frame stands that frame."""
    count, length, _ = features.shape
    first = np.where(rng.random(count) < 0.15, rng.integers(history + 1, size=count), 0)
    frame = np.maximum(np.arange(length), first[:, None])
    return np.take_along_axis(features, frame[..., None], 1)


def _chance(rng: np.random.Generator, count: int, share: float) -> Bools:
    return (rng.random(count) < share)[:, None, None, None]
