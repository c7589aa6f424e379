"""People in the scene: where they stand, and the solids their limbs and joints are drawn as. Camera axes, metres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.palette import H36M_BONES
from poselift.app.export.scene import ANKLE_ABOVE_FLOOR, FEET, HEAD_RADIUS
from poselift.app.view.colours import BRIGHT, HELD, SHADE, colour_of, mixed, sided
from poselift.common.arrays import Floats
from poselift.common.skeleton import H36M_JOINTS

BODY_HEIGHT_M = 1.7
TRAILING = tuple(H36M_JOINTS.index(name) for name in ("left_wrist", "right_wrist", "left_ankle", "right_ankle"))
TRAIL_S = 1.2

_NECK, _HEAD = H36M_JOINTS.index("neck"), H36M_JOINTS.index("head")
# Radii of the body at each joint, in body heights, where limbs begin and end.
_AT_JOINT = {
    "hip": 0.040,
    "knee": 0.031,
    "ankle": 0.021,
    "spine": 0.050,
    "thorax": 0.044,
    "shoulder": 0.029,
    "elbow": 0.023,
    "wrist": 0.017,
}
_RADII = np.array([_AT_JOINT.get(name.rpartition("_")[2], 0.026) for name in H36M_JOINTS], np.float32) * BODY_HEIGHT_M
_SIDES = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in H36M_JOINTS], np.float32)
_BONES = np.array([bone for bone in H36M_BONES if bone[1] != _HEAD])


class Solids(NamedTuple):
    """Round cones in one array each: spheres where both ends are one place."""

    start: Floats
    """float32 [N, 3]."""
    end: Floats
    radii: Floats
    """float32 [N, 2]: at both ends, metres."""
    colour: Floats
    """float32 [N, 4]: RGB and how solid, 0 to 1."""


class Joints(NamedTuple):
    """Joints as they are drawn upon the limbs: a bright core where they are sure, and a halo as wide as they are not."""

    place: Floats
    """float32 [N, 3]."""
    radius: Floats
    """float32 [N]: of the core, metres."""
    sigma: Floats
    """float32 [N]: one standard deviation, mean over the three axes, metres; 0 where it is not known."""
    colour: Floats
    """float32 [N, 4]: of the core, and how solid."""
    halo: Floats
    """float32 [N, 4]."""


def lowest(joints: Floats) -> float:
    """The y of the ground that these people's feet (float [K, 17, 3], K > 0) touch."""
    return float(joints[:, FEET, 1].max()) + ANKLE_ABOVE_FLOOR * BODY_HEIGHT_M


def colours(pose: Pose3D, stale: bool) -> Floats:
    """float32 [K, 3]: each person's own, grey for those who are not seen, for all where the pose is stale."""
    own = np.array([colour_of(int(person)) for person in pose.person], np.float32).reshape(-1, 3)
    return mixed(own, HELD, np.where(pose.held | stale, 0.92, 0.0))


def limbs(pose: Pose3D, joints: Floats, colour: Floats) -> Solids:
    """Every limb, trunk and head of everybody; `joints` as `places.Places`, `colour` as `colours`. The less sure, the darker."""
    first, last = _BONES.T
    known = _sure(pose)
    sure = np.minimum(known[:, first], known[:, last])
    shade = sided(colour[:, None], _SIDES[last])
    head = (joints[:, _NECK] + joints[:, _HEAD])[:, None] / 2
    start, end = np.concatenate([joints[:, first], head], 1), np.concatenate([joints[:, last], head], 1)
    of_head = mixed(colour, BRIGHT, 0.18)[:, None]
    rgb = np.concatenate([shade, of_head], 1)
    sure = np.concatenate([sure, known[:, [_NECK, _HEAD]].min(1, keepdims=True)], 1)
    rgb = mixed(rgb, SHADE, 0.62 * (1 - sure))
    radii = np.concatenate([_RADII[_BONES], np.full((1, 2), HEAD_RADIUS * BODY_HEIGHT_M)])
    solid = np.broadcast_to(np.where(pose.held, 0.75, 1.0)[:, None, None], (*rgb.shape[:2], 1))
    return Solids(
        start.reshape(-1, 3).astype(np.float32),
        end.reshape(-1, 3).astype(np.float32),
        np.tile(radii, (len(joints), 1)).astype(np.float32),
        np.concatenate([rgb, solid], -1).reshape(-1, 4).astype(np.float32),
    )


def joint_marks(pose: Pose3D, joints: Floats, colour: Floats) -> Joints:
    """Every joint of everybody."""
    sure = _sure(pose)
    core = mixed(mixed(np.repeat(colour[:, None], 17, 1), BRIGHT, 0.20 + 0.5 * sure), SHADE, 0.75 * (1 - sure))
    sigma = np.sqrt(np.mean(np.nan_to_num(pose.sigma_m, nan=0.0) ** 2, -1))
    seen = np.where(pose.held, 0.35, 1.0)[:, None]
    halo = np.concatenate([np.repeat(mixed(colour, BRIGHT, 0.35)[:, None], 17, 1), (seen * np.ones_like(sure))[..., None]], -1)
    radius = np.tile(0.42 * _RADII, (len(joints), 1))
    radius[:, [_NECK, _HEAD]] *= 0.7
    return Joints(
        joints.reshape(-1, 3),
        radius.reshape(-1).astype(np.float32),
        sigma.reshape(-1).astype(np.float32),
        np.concatenate([core, (seen * np.ones_like(sure))[..., None]], -1).reshape(-1, 4).astype(np.float32),
        halo.reshape(-1, 4).astype(np.float32),
    )


def _sure(pose: Pose3D) -> Floats:
    """The joints' confidence, 0 to 1; 0 where it is no number."""
    return np.asarray(np.nan_to_num(pose.confidence).clip(0, 1))


class Lines(NamedTuple):
    """Straight pieces of line."""

    start: Floats
    """float32 [N, 3]."""
    end: Floats
    colour: Floats
    """float32 [N, 2, 4]: RGB and how solid, at both ends."""


def trails(poses: Sequence[Pose3D], joints: Sequence[Floats], t_ns: int, stale: bool = False) -> Lines:
    """The ways of hands and feet over the last TRAIL_S before `t_ns`, fading away.

    `poses` come in the order of their times, each with its `joints`.
    """
    ways: dict[int, list[tuple[Floats, float]]] = {}
    for number, (pose, places) in enumerate(zip(poses, joints)):
        fresh = 1 - (t_ns - pose.t_ns) / (TRAIL_S * 1e9)
        if not 0 <= fresh <= 1:
            continue
        for k, person in enumerate(pose.person.tolist()):
            ways.setdefault(person, []).append((places[k], fresh))
        for person in ways.keys() - set(pose.person.tolist()) if number else ():
            ways[person].clear()  # who was away begins anew
    starts, ends, tints = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.float32)], [np.empty((0, 2, 4), np.float32)]
    for person, way in ways.items():
        if len(way) < 2:
            continue
        places, faded = np.stack([place for place, _ in way])[:, TRAILING], np.array([fresh for _, fresh in way])
        tint = np.empty((len(way), len(TRAILING), 4), np.float32)
        tint[..., :3] = HELD if stale else colour_of(person)
        tint[..., 3] = (0.75 * faded**1.6)[:, None]
        starts.append(places[:-1].reshape(-1, 3))
        ends.append(places[1:].reshape(-1, 3))
        tints.append(np.stack([tint[:-1], tint[1:]], 2).reshape(-1, 2, 4))
    return Lines(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints))


def frustum(width_px: int, height_px: int, focal_px: float, depth_m: float = 0.55) -> Lines:
    """What the board's camera sees, as a pyramid that begins in it."""
    half = np.array([width_px, height_px]) / 2 / focal_px * depth_m
    corners = np.array([[x * half[0], y * half[1], depth_m] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    tip = np.zeros((4, 3))
    # A little roof shows which way is up.
    above = np.array(
        [[-0.35 * half[0], -1.12 * half[1], depth_m], [0, -1.5 * half[1], depth_m], [0.35 * half[0], -1.12 * half[1], depth_m]]
    )
    start = np.concatenate([tip, corners, above])
    end = np.concatenate([corners, np.roll(corners, -1, 0), np.roll(above, -1, 0)])
    colour = np.broadcast_to([*BRIGHT, 0.55], (len(start), 2, 4))
    return Lines(start.astype(np.float32), end.astype(np.float32), colour.astype(np.float32))
