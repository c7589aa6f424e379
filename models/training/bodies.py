"""Other people's bodies doing the recorded motion: mirrored, turned, mixed, reshaped; and where the keypoints lie on them.

Joints are [N, L, 21, 3] throughout: N sequences of L frames, metres, z up, JOINTS.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS, JOINT_MIRROR, JOINTS, KEYPOINT_MIRROR, KEYPOINTS, PARENTS

_INDEX = {name: i for i, name in enumerate(JOINTS)}
_PARENTS = np.array(PARENTS[1:])
_BODY, _FEET = slice(5, len(COCO_KEYPOINTS)), slice(len(COCO_KEYPOINTS), len(KEYPOINTS))
"""The keypoints below the face, and those of the feet."""
UPPER_BODY = np.arange(_INDEX["spine"], len(H36M_JOINTS))
BONE_GROUPS = np.array([0, 0, 1, 2, 0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 5, 6, 7, 8, 8, 8, 8])
"""For each joint, which lengths vary together with that of its bone: hip, thigh, shank, trunk, neck, shoulder, arm, forearm, foot."""

COCO_BODY = np.array([11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3])
"""The Human3.6M joint of COCO keypoints 5 to 16."""

FACE_M = np.array([[0.0, 0.045, 0.115], [0.032, 0.08, 0.095], [-0.032, 0.08, 0.095], [0.075, 0.06, 0.0], [-0.075, 0.06, 0.0]], np.float32)
"""COCO keypoints 0 to 4 from the neck joint, to the left, up and forward: an adult's head is 15 cm wide between the ears and 19 cm
long, its pupils 63 mm apart."""


TENDENCY_M = np.array(
    [
        (0.0, 0.014, -0.017), (0.005, 0.006, 0.0), (-0.005, 0.006, 0.0), (-0.033, -0.004, 0.027), (0.033, -0.004, 0.027),
        (-0.005, 0.028, 0.0), (0.005, 0.028, 0.0), (0.0, 0.01, 0.003), (0.0, 0.01, 0.003), (0.0, 0.001, 0.003), (0.0, 0.001, 0.003),
        (0.0, 0.0, 0.024), (0.0, 0.0, 0.024), (0.0, 0.005, -0.01), (0.0, 0.005, -0.01), (0.0, 0.024, 0.002), (0.0, 0.024, 0.002),
    ],
    np.float32,
)  # fmt: skip
"""Where BlazePose puts COCO's keypoints beside the joints of rendered people, along the trunk's left, up and forward (`bench/rendered`)."""


class Likeness(NamedTuple):
    """How the keypoints lie on a person, who is one of N."""

    hip_width: Floats
    """[N]: distance of COCO's hips over that of the motion capture's, which lie deep in the pelvis"""
    shoulder_width: Floats
    """[N]"""
    offsets_m: Floats
    """[N, 17, 3]: of each of COCO's keypoints, along the trunk's left, up and forward"""
    foot_offsets_m: Floats
    """[N, 4, 2]: of each of FEET, along its foot (from heel to toe) and from the toe to the ankle"""
    head_turn: Floats
    """[N, L]: radians to the left"""
    head_nod: Floats
    """[N, L]: radians upwards"""
    head_size: Floats
    """[N]: 1 for an adult"""


def plain_likeness(count: int, length: int) -> Likeness:
    """Nobody in particular: as the motion capture has it, hips 1.3 times as wide."""
    one, still = np.ones(count, np.float32), np.zeros((count, length), np.float32)
    return Likeness(1.3 * one, one, np.zeros((count, 17, 3), np.float32), np.zeros((count, 4, 2), np.float32), still, still, one)


def random_likeness(rng: np.random.Generator, count: int, length: int, at_joints: Optional[Bools] = None) -> Likeness:
    """Different detectors and people: widths, offsets of a centimetre or two, heads that turn and nod slowly.

    Half of them tend to where BlazePose puts the keypoints, which knows the hips' joints and not COCO's wide hips. `at_joints` [N]: whose
    keypoints lie at their joints, since they get BlazePose's errors by themselves.
    """
    exact = np.zeros(count, np.bool_) if at_joints is None else at_joints
    alike = (rng.random(count) < 0.5) & ~exact
    hip_width = np.where(alike, rng.uniform(0.98, 1.35, count), rng.uniform(1.05, 1.65, count))
    hip_width = np.where(exact, rng.uniform(0.95, 1.1, count), hip_width)
    shoulder_width = rng.uniform(0.88, 1.12, count)
    sides, own = rng.normal(0, 0.012, (count, 17, 3)), rng.normal(0, 0.012, (count, 17, 3))
    offsets_m = own + (sides + sides[:, KEYPOINT_MIRROR[:17]] * (-1, 1, 1)) / 2
    offsets_m[:, :5] += rng.normal(0, 0.02, (count, 1, 3))
    offsets_m += TENDENCY_M * (alike * rng.uniform(0, 1.3, count))[:, None, None]
    sweep = np.linspace(-1, 1, length)
    turn = rng.normal(0, 0.4, (count, 1)) + rng.normal(0, 0.15, (count, 1)) * sweep
    nod = rng.normal(0, 0.2, (count, 1)) + rng.normal(0, 0.08, (count, 1)) * sweep
    head_size = rng.uniform(0.85, 1.3, count)
    both_feet = rng.normal(0, (0.02, 0.008), (count, 1, 2, 2)).repeat(2, 1).reshape(count, 4, 2)
    foot_offsets_m = both_feet + rng.normal(0, 0.006, (count, 4, 2))
    values = (hip_width, shoulder_width, offsets_m, foot_offsets_m, turn, nod, head_size)
    return Likeness(*(value.astype(np.float32) for value in values))


def mirror(joints_m: Floats) -> Floats:
    """The motion as in a mirror that stands in the plane x = 0: left and right change places."""
    return joints_m[..., JOINT_MIRROR, :] * np.array([-1, 1, 1], np.float32)


def turn(joints_m: Floats, yaw: Floats) -> Floats:
    """Each sequence turned about the vertical by its yaw [N], in radians."""
    cos, sin, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    rotation = np.stack([cos, sin, zero, -sin, cos, zero, zero, zero, zero + 1], -1).reshape(-1, 1, 3, 3)
    return np.asarray(np.matmul(joints_m, rotation.astype(np.float32)), np.float32)


def mix(legs_m: Floats, uppers_m: Floats) -> Floats:
    """The second motion's upper body, turned to the same heading, on the first one's legs.

    Only where both trunks stand alike in the middle of the sequence (within 45 degrees); elsewhere the first one as it is.
    """
    middle = legs_m.shape[1] // 2
    turned = turn(uppers_m, _heading(legs_m[:, middle]) - _heading(uppers_m[:, middle]))
    alike = (unit(_trunk(legs_m[:, middle])) * unit(_trunk(turned[:, middle]))).sum(-1) > np.sqrt(0.5)
    mixed = legs_m.copy()
    mixed[:, :, UPPER_BODY] = turned[:, :, UPPER_BODY] - turned[:, :, :1] + legs_m[:, :, :1]
    return np.where(alike[:, None, None, None], mixed, legs_m)


def reshape(joints_m: Floats, group_scale: Floats) -> Floats:
    """The same motion on a body whose groups of bones are longer by the factors `group_scale` [N, 9]."""
    scale = group_scale[:, None, BONE_GROUPS[1:], None]
    bones = (joints_m[:, :, 1:] - joints_m[:, :, _PARENTS]) * scale
    return np.concatenate([joints_m[:, :, :1], joints_m[:, :, :1] + np.matmul(_CHAINS, bones)], 2)


def body_scale(joints_m: Floats) -> Floats:
    """Length of thigh, shank and trunk together, [...] in metres for joints [..., 17, 3]: the unit of the network's output."""
    length = np.linalg.norm(joints_m[..., 1:, :] - joints_m[..., _PARENTS, :], axis=-1)
    of = {name: length[..., i - 1] for name, i in _INDEX.items() if i}
    legs = of["left_knee"] + of["right_knee"] + of["left_ankle"] + of["right_ankle"]
    return np.asarray(legs / 2 + of["spine"] + of["thorax"], np.float32)


def keypoints_of(joints_m: Floats, likeness: Likeness) -> Floats:
    """The keypoints [N, L, 21, 3], in metres, on these bodies."""
    points = np.empty_like(joints_m)
    points[:, :, _BODY] = joints_m[:, :, COCO_BODY]
    _widen(points[:, :, 5:7], likeness.shoulder_width)
    _widen(points[:, :, 11:13], likeness.hip_width)
    head = axes(_lateral(joints_m), joints_m[..., _INDEX["head"], :] - joints_m[..., _INDEX["neck"], :])
    face = np.matmul(_turned_face(likeness), head)
    points[:, :, :5] = joints_m[:, :, _INDEX["neck"], None] + face
    points[:, :, : _BODY.stop] += np.matmul(likeness.offsets_m[:, None], trunk_axes(joints_m))
    points[:, :, _FEET] = _foot_points(joints_m, likeness)
    return points


def trunk_axes(joints_m: Floats) -> Floats:
    """The trunk's axes [..., 3, 3] of joints [..., 17, 3]: left, up and forward in rows."""
    return axes(_lateral(joints_m), _trunk(joints_m))


def pelvis_axes(joints_m: Floats) -> Floats:
    """The pelvis' axes [..., 3, 3] of joints [..., 17, 3]: left, up and forward in rows."""
    hips = joints_m[..., _INDEX["left_hip"], :] - joints_m[..., _INDEX["right_hip"], :]
    return axes(hips, _trunk(joints_m))


def axes(lateral: Floats, up: Floats) -> Floats:
    """Orthonormal axes [..., 3, 3] in rows: left, up and forward; up as given, left as near to `lateral` as can be."""
    up = unit(up)
    forward = unit(np.cross(lateral, up))
    return np.stack([np.cross(up, forward), up, forward], -2)


def unit(vectors: Floats) -> Floats:
    """Vectors [..., 3] at length 1; one of length 0 stays."""
    return np.asarray(vectors / np.maximum(np.sqrt(np.square(vectors).sum(-1, keepdims=True)), 1e-6), np.float32)


def _lateral(joints_m: Floats) -> Floats:
    return joints_m[..., _INDEX["left_shoulder"], :] - joints_m[..., _INDEX["right_shoulder"], :]


def _trunk(joints_m: Floats) -> Floats:
    return joints_m[..., _INDEX["thorax"], :] - joints_m[..., 0, :]


def _heading(joints_m: Floats) -> Floats:
    lateral = _lateral(joints_m)
    return np.arctan2(lateral[..., 1], lateral[..., 0])


def _widen(pair: Floats, factor: Floats) -> None:
    middle = pair.mean(2, keepdims=True)
    pair[...] = middle + (pair - middle) * factor[:, None, None, None]


def _foot_points(joints_m: Floats, likeness: Likeness) -> Floats:
    """[N, L, 4, 3]: FEET, off by `foot_offsets_m`."""
    feet_m = joints_m[:, :, len(H36M_JOINTS) :]
    heels, toes = feet_m[:, :, 0::2], feet_m[:, :, 1::2]
    along = unit(toes - heels).repeat(2, 2)
    up = unit(joints_m[:, :, [_INDEX["left_ankle"], _INDEX["right_ankle"]]] - toes).repeat(2, 2)
    along_m, up_m = np.moveaxis(likeness.foot_offsets_m[:, None], -1, 0)[..., None]
    return np.asarray(feet_m + along_m * along + up_m * up, np.float32)


def _turned_face(likeness: Likeness) -> Floats:
    """[N, L, 5, 3]: the face's keypoints to the left, up and forward of the neck."""
    left, up, forward = np.moveaxis(FACE_M * likeness.head_size[:, None, None, None], -1, 0)
    cos, sin = np.cos(likeness.head_nod)[..., None], np.sin(likeness.head_nod)[..., None]
    up, forward = up * cos + forward * sin, forward * cos - up * sin
    cos, sin = np.cos(likeness.head_turn)[..., None], np.sin(likeness.head_turn)[..., None]
    left, forward = left * cos + forward * sin, forward * cos - left * sin
    return np.stack([left, up, forward], -1)


def _chains() -> Floats:
    """[21 - 1, 21 - 1]: which bones lead from the root to each joint."""
    chains = np.zeros((len(JOINTS), len(JOINTS)), np.float32)
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            chains[joint] = chains[parent]
            chains[joint, joint] = 1
    return chains[1:, 1:]


_CHAINS = _chains()
