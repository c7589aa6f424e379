"""The shapes that are drawn in the 3D scene: bodies, joints, trails, the real camera's frustum. In the real camera's axes, metres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.palette import JOINT_BONES
from poselift.app.export.scene import CONTACT_RADIUS, HEAD_RADIUS, below_feet
from poselift.app.view.colours import BRIGHT, CONTACT, HELD, SHADE, blend, colour_of, side_tint
from poselift.common.arrays import Floats
from poselift.common.skeleton import BODY_HEIGHT_M, FEET, JOINTS

TRAILING = tuple(JOINTS.index(name) for name in ("left_wrist", "right_wrist", "left_ankle", "right_ankle"))
TRAIL_S = 1.2

_NECK, _HEAD = JOINTS.index("neck"), JOINTS.index("head")
# The radius of the limbs at each joint, in body heights.
_RADIUS_AT_JOINT = {
    "hip": 0.040,
    "knee": 0.031,
    "ankle": 0.021,
    "heel": 0.014,
    "toe": 0.012,
    "spine": 0.050,
    "thorax": 0.044,
    "shoulder": 0.029,
    "elbow": 0.023,
    "wrist": 0.017,
}
_RADII = np.array([_RADIUS_AT_JOINT.get(name.rpartition("_")[2], 0.026) for name in JOINTS], np.float32) * BODY_HEIGHT_M
_SIDES = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in JOINTS], np.float32)
_FEET = slice(JOINTS.index(FEET[0]), None)
_BONES = np.array([bone for bone in JOINT_BONES if bone[1] != _HEAD])


class Solids(NamedTuple):
    """Round cones; a sphere where both ends are the same point."""

    start: Floats
    """float32 [N, 3]."""
    end: Floats
    radii: Floats
    """float32 [N, 2]: at both ends, metres."""
    colour: Floats
    """float32 [N, 4]: RGB and alpha, 0 to 1."""


class JointMarks(NamedTuple):
    """Joints, drawn over the limbs: a core, the brighter the more certain, and a halo as wide as the uncertainty."""

    position: Floats
    """float32 [N, 3]."""
    radius: Floats
    """float32 [N]: of the core, metres."""
    sigma: Floats
    """float32 [N]: one standard deviation, the mean of the three axes, metres; 0 if it is not known."""
    colour: Floats
    """float32 [N, 4]: of the core, RGB and alpha."""
    halo: Floats
    """float32 [N, 4]."""


def ground_m_below(joints: Floats) -> float:
    """The y of the ground below these people, whose feet touch it (float [K, 21, 3], K > 0)."""
    return below_feet(joints, BODY_HEIGHT_M)


def person_colours(pose: Pose3D, stale: bool) -> Floats:
    """float32 [K, 3]: each person's own; grey for people who are not seen now, and for all if the pose is stale."""
    own = np.array([colour_of(int(person)) for person in pose.person], np.float32).reshape(-1, 3)
    return blend(own, HELD, np.where(pose.held | stale, 0.92, 0.0))


def body_solids(pose: Pose3D, joints: Floats, colour: Floats) -> Solids:
    """Limbs, trunk and head of everybody; the less certain, the darker. Feet that are not known are left out.

    `joints` as from `Placement.place`, `colour` from `person_colours`.
    """
    first, last = _BONES.T
    confidence = _confidence(pose)
    certainty = np.minimum(confidence[:, first], confidence[:, last])
    shade = side_tint(colour[:, None], _SIDES[last])
    head = (joints[:, _NECK] + joints[:, _HEAD])[:, None] / 2
    start, end = np.concatenate([joints[:, first], head], 1), np.concatenate([joints[:, last], head], 1)
    of_head = blend(colour, BRIGHT, 0.18)[:, None]
    rgb = np.concatenate([shade, of_head], 1)
    certainty = np.concatenate([certainty, confidence[:, [_NECK, _HEAD]].min(1, keepdims=True)], 1)
    rgb = blend(rgb, SHADE, 0.62 * (1 - certainty))
    radii = np.concatenate([_RADII[_BONES], np.full((1, 2), HEAD_RADIUS * BODY_HEIGHT_M)])
    alpha = np.broadcast_to(np.where(pose.held, 0.75, 1.0)[:, None, None], (*rgb.shape[:2], 1))
    known = (np.isfinite(start) & np.isfinite(end)).all(-1)
    return Solids(
        start[known].astype(np.float32),
        end[known].astype(np.float32),
        np.broadcast_to(radii, (*known.shape, 2))[known].astype(np.float32),
        np.concatenate([rgb, alpha], -1)[known].astype(np.float32),
    )


def joint_marks(pose: Pose3D, joints: Floats, colour: Floats) -> JointMarks:
    """The joints of everybody, a bright ball where a foot is on the floor; arguments as in `body_solids`."""
    confidence = _confidence(pose)
    contact = np.zeros(confidence.shape, np.bool_)
    contact[:, _FEET] = pose.contact
    core = blend(blend(np.repeat(colour[:, None], len(JOINTS), 1), BRIGHT, 0.20 + 0.5 * confidence), SHADE, 0.75 * (1 - confidence))
    sigma = np.sqrt(np.mean(np.where(np.isfinite(pose.sigma_m), pose.sigma_m, 0) ** 2, -1))
    alpha = np.where(pose.held, 0.35, 1.0)[:, None] * np.ones_like(confidence)
    halo = np.concatenate([np.repeat(blend(colour, BRIGHT, 0.35)[:, None], len(JOINTS), 1), alpha[..., None]], -1)
    radius = np.tile(0.42 * _RADII, (len(joints), 1))
    radius[:, [_NECK, _HEAD]] *= 0.7
    core[contact], radius[contact] = CONTACT, CONTACT_RADIUS * BODY_HEIGHT_M
    known = np.isfinite(joints).all(-1)
    return JointMarks(
        joints[known],
        radius[known].astype(np.float32),
        sigma[known].astype(np.float32),
        np.concatenate([core, alpha[..., None]], -1)[known].astype(np.float32),
        halo[known].astype(np.float32),
    )


def _confidence(pose: Pose3D) -> Floats:
    """float32 [K, 21]: the joints' confidence, 0 to 1; 0 where it is NaN."""
    return np.asarray(np.nan_to_num(pose.confidence).clip(0, 1))


class Lines(NamedTuple):
    """Line segments."""

    start: Floats
    """float32 [N, 3]."""
    end: Floats
    colour: Floats
    """float32 [N, 2, 4]: RGB and alpha at both ends."""


def trails(poses: Sequence[Pose3D], joints: Sequence[Floats], t_ns: int) -> Lines:
    """The trails of hands and feet over the TRAIL_S before `t_ns`; the older, the fainter.

    `poses` are consecutive; `joints` are theirs, as from `Placement.place`.
    """
    by_person: dict[int, list[tuple[Floats, float]]] = {}
    for index, (pose, people) in enumerate(zip(poses, joints)):
        fresh = 1 - (t_ns - pose.t_ns) / (TRAIL_S * 1e9)
        if not 0 <= fresh <= 1:
            continue
        for k, person in enumerate(pose.person.tolist()):
            by_person.setdefault(person, []).append((people[k], fresh))
        for person in by_person.keys() - set(pose.person.tolist()) if index else ():
            by_person[person].clear()  # the trail of a person who was away starts over
    starts, ends, tints = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.float32)], [np.empty((0, 2, 4), np.float32)]
    for person, trail in by_person.items():
        if len(trail) < 2:
            continue
        points, freshness = np.stack([joints_m for joints_m, _ in trail])[:, TRAILING], np.array([fresh for _, fresh in trail])
        tint = np.empty((len(trail), len(TRAILING), 4), np.float32)
        tint[..., :3] = colour_of(person)
        tint[..., 3] = (0.75 * freshness**1.6)[:, None]
        starts.append(points[:-1].reshape(-1, 3))
        ends.append(points[1:].reshape(-1, 3))
        tints.append(np.stack([tint[:-1], tint[1:]], 2).reshape(-1, 2, 4))
    return Lines(np.concatenate(starts), np.concatenate(ends), np.concatenate(tints))


def frustum(width_px: int, height_px: int, focal_px: float, depth_m: float = 0.55) -> Lines:
    """The real camera's view, as a pyramid whose tip is the camera."""
    half = np.array([width_px, height_px]) / 2 / focal_px * depth_m
    corners = np.array([[x * half[0], y * half[1], depth_m] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    tip = np.zeros((4, 3))
    # A roof on the pyramid shows which way is up.
    roof = np.array([[-0.35 * half[0], -1.12 * half[1], depth_m], [0, -1.5 * half[1], depth_m], [0.35 * half[0], -1.12 * half[1], depth_m]])
    start = np.concatenate([tip, corners, roof])
    end = np.concatenate([corners, np.roll(corners, -1, 0), np.roll(roof, -1, 0)])
    colour = np.broadcast_to([*BRIGHT, 0.55], (len(start), 2, 4))
    return Lines(start.astype(np.float32), end.astype(np.float32), colour.astype(np.float32))
