"""What the network sees of random people before random cameras, and what it should say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.camera import FOCAL_OF_LONGER_SIDE
from poselift.models.lifting.person_camera import observe, to_virtual
from poselift.models.training.bodies import BONE_GROUPS, body_scale, coco_points, mirror, mix, random_likeness, reshape, turn
from poselift.models.training.cameras import project, random_cameras, to_camera_axes
from poselift.models.training.detector import detect
from poselift.models.training.limbs import bend, exchange
from poselift.models.training.motion import Motion, sample_motion

MAX_BEND = 0.45
"""Greatest spread of the angles by which a sequence's limbs are turned from where they were recorded, about each axis; radians."""

EXCHANGED = (0.18, 0.18, 0.38, 0.38)
"""Share of the sequences that have another clip's right leg, left leg, left arm, right arm."""


class Batch(NamedTuple):
    """N sequences of T outputs, with the history that the first of them sees."""

    features: Floats
    """[N, history + T, FEATURES]"""
    poses: Floats
    """[N, T, 17, 3]: root-relative, in the axes of each frame's virtual camera, in body scales"""


def make_batch(motion: Motion, rng: np.random.Generator, count: int, outputs: int, history: int, invent: bool = True) -> Batch:
    """A batch of `count` sequences of `outputs` frames, each preceded by `history` frames.

    The people are invented ones, to learn from; or those who were recorded, as they moved, to be judged by.
    """
    length = history + outputs
    joints_m = sample_motion(motion, rng, count, length, tempo_spread=0.2 if invent else 0)
    if invent:
        joints_m = random_people(rng, joints_m, sample_motion(motion, rng, count, length))
    scale = body_scale(joints_m[:, 0])[:, None, None, None]
    cameras = random_cameras(rng, joints_m)
    in_camera = to_camera_axes(joints_m, cameras)
    points = to_camera_axes(coco_points(joints_m, random_likeness(rng, count, length)), cameras)
    depth = (points[..., 2] - in_camera[:, :, :1, 2]) / scale[..., 0]
    keypoints = detect(rng, project(points), depth)
    keypoints[..., :2] *= (cameras.focal / assumed_focal(rng, cameras.focal))[:, None, None, None]
    features, view = observe(keypoints, 0, 0, focal_px=1)
    poses = to_virtual((in_camera - in_camera[:, :, :1]) / scale, view)
    return Batch(start_late(rng, features, history), poses[:, history:])


def random_people(rng: np.random.Generator, joints_m: Floats, others_m: Floats) -> Floats:
    """The motion [N, L, 17, 3] by other people: many with others' limbs or upper bodies, or limbs bent otherwise; all of other build."""
    count = len(joints_m)
    joints_m = exchange(joints_m, others_m[::-1], rng.random((count, 4)) < EXCHANGED)
    spread = rng.uniform(0, MAX_BEND, (count, 1, 1)) * (rng.random((count, 1, 1)) < 0.6)
    joints_m = bend(joints_m, *(spread * rng.normal(size=(2, count, 4, 3))))
    joints_m = np.where(_chance(rng, count, 0.35), mix(joints_m, others_m), joints_m)
    joints_m = np.where(_chance(rng, count, 0.5), mirror(joints_m), joints_m)
    build = rng.uniform(0.88, 1.12, (count, BONE_GROUPS.max() + 1)) * rng.uniform(0.8, 1.15, (count, 1))
    return reshape(turn(joints_m, rng.uniform(0, 2 * np.pi, count).astype(np.float32)), build.astype(np.float32))


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


def _chance(rng: np.random.Generator, count: int, share: float) -> npt.NDArray[np.bool_]:
    return (rng.random(count) < share)[:, None, None, None]
