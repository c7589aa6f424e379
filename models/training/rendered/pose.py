"""Recorded joints to the poses of a body: directions of the limbs are taken over, lengths are the body's own.

A limb's twist comes from the plane of its hinge, that of the pelvis from the hips, that of the chest from the shoulders. What recorded
joints do not tell, the feet and where the head looks, is made up. Truth is where the body's own joints then are: none of this biases it.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models.training.bodies import axes, unit
from poselift.models.training.rendered.body import BONES, PARENTS, Body

FLOOR_FOOT_M = (0.13, 0.25)
"""An ankle below the first height stands flat, above the second its foot goes with the shank."""
ADULTS_FOOT_M = 0.25
HEADS = {
    "pelvis": "pelvis", "spine_01": "spine-4", "spine_02": "spine-3", "spine_03": "spine-2", "neck_01": "neck", "head": "head",
    **{f"{bone}_{side}": f"{side}-{joint}" for side in "lr" for bone, joint in {
        "clavicle": "clavicle", "upperarm": "shoulder", "lowerarm": "elbow", "hand": "hand",
        "thigh": "upper-leg", "calf": "knee", "foot": "ankle", "ball": "foot-1"}.items()},
}  # fmt: skip
"""For each bone, MakeHuman's joint at which it begins."""
LIMBS = {"shoulder": "upperarm", "elbow": "lowerarm", "wrist": "hand", "hip": "thigh", "knee": "calf", "ankle": "foot"}
"""The bone at whose beginning a COCO keypoint of that name lies."""


class Motion(NamedTuple):
    """A body's motion over T pictures, world axes (z up, floor at 0), metres."""

    rotation: Floats
    """[T, B, 3, 3]: each bone's, from its direction at rest"""
    head_m: Floats
    """[T, B, 3]: where each bone begins"""


def pose(body: Body, joints_m: Floats, rng: np.random.Generator, feet_m: Optional[Floats] = None) -> Motion:
    """The body doing what Human3.6M joints [T, 17, 3] do (metres, z up), and its feet what left heel and toe, right heel and toe do.

    `feet_m` is [T, 4, 3]; None where they are not known.
    """
    at = {name: joints_m[:, i] for i, name in enumerate(H36M_JOINTS)}
    rest = rest_heads(body)
    turns = _trunk(at, rest, rng)
    for number, (side, long_side) in enumerate((("l", "left"), ("r", "right"))):
        _arm(turns, at, rest, side, long_side)
        _leg(turns, at, rest, side, long_side)
        if feet_m is not None:
            ankle, heel, toe = at[f"{long_side}_ankle"], feet_m[:, 2 * number], feet_m[:, 2 * number + 1]
            turns[f"foot_{side}"] = turns[f"ball_{side}"] = _from_rest(
                _foot_axes(ankle, heel, toe), _foot_axes(rest[f"foot_{side}"], *sole(body, side))
            )
    rotation = np.stack([turns[bone] for bone in BONES], 1).astype(np.float32)
    leg_m = (
        np.linalg.norm(at["left_hip"] - at["left_knee"], axis=-1).mean()
        + np.linalg.norm(at["left_knee"] - at["left_ankle"], axis=-1).mean()
    )
    own_leg_m = np.linalg.norm(rest["thigh_l"] - rest["calf_l"]) + np.linalg.norm(rest["calf_l"] - rest["foot_l"])
    middle = (rest["thigh_l"] + rest["thigh_r"]) / 2
    root = at["hip"] * (own_leg_m / leg_m) - np.einsum("tij,j->ti", turns["pelvis"], middle - rest["pelvis"])
    motion = Motion(rotation, _chain(rotation, np.stack([rest[bone] for bone in BONES]), root))
    lowest_m = [skin(body, motion, t)[:, 2].min() for t in range(0, len(joints_m), 10)]
    motion.head_m[..., 2] -= np.percentile(lowest_m, 10)
    return motion


def skin(body: Body, motion: Motion, t: int) -> Floats:
    """Vertices [V, 3] of the body in picture t: each goes along with its bones by their weights."""
    rest = np.stack([rest_heads(body)[bone] for bone in BONES])
    rotation, head_m = motion.rotation[t], motion.head_m[t]
    move = head_m - np.einsum("bij,bj->bi", rotation, rest)
    blended = (body.weights @ rotation.reshape(-1, 9)).reshape(-1, 3, 3)
    return np.asarray(np.einsum("vij,vj->vi", blended, body.vertices_m) + body.weights @ move, np.float32)


def rest_heads(body: Body) -> dict[str, Floats]:
    """Where each bone begins while the body stands at rest."""
    return {bone: body.joints_m[f"joint-{HEADS[bone]}"] for bone in BONES}


def coco_truth(body: Body, motion: Motion) -> Floats:
    """COCO's 17 keypoints [T, 17, 3] on the body, world axes, metres: limbs by the body's joints, the face by its surface."""
    rest = rest_heads(body)
    head = BONES.index("head")
    points = []
    for name in COCO_KEYPOINTS:
        side, _, part = name.partition("_")
        if part in LIMBS:
            points.append(motion.head_m[:, BONES.index(f"{LIMBS[part]}_{side[0]}")])
        else:
            turned = np.einsum("tij,j->ti", motion.rotation[:, head], face(body)[name] - rest["head"])
            points.append(motion.head_m[:, head] + turned)
    return np.stack(points, 1).astype(np.float32)


def face(body: Body) -> dict[str, Floats]:
    """Nose tip, eyes and ears of the body at rest."""
    eye = body.joints_m["joint-l-eye"]
    skull = body.vertices_m[np.unique(body.triangles[body.surface == 0])]
    near = skull[(np.abs(skull[:, 2] - eye[2]) < 0.06) & (np.linalg.norm(skull[:, :2], axis=1) < 0.2)]
    nose = near[near[:, 1].argmin()]
    found = {"nose": nose}
    for side, sign in (("left", 1), ("right", -1)):
        found[f"{side}_eye"] = body.joints_m[f"joint-{side[0]}-eye"]
        outside = near[(sign * near[:, 0]).argsort()[-12:]]
        found[f"{side}_ear"] = outside.mean(0)
    return found


def sole(body: Body, side: str) -> tuple[Floats, Floats]:
    """Heel and toe of the left ("l") or right ("r") foot of the body at rest, each [3].

    The heel is the rearmost point of the skin in the foot's lowest 3 cm, taken 2 cm over the floor; the toe is the foremost of the big toe,
    taken 1.5 cm over the floor. These heights are an adult's: they go with the foot's length.
    """
    strongest = body.weights.argmax(1)
    skin_of = np.unique(body.triangles[body.surface == 0])
    foot = body.vertices_m[skin_of[np.isin(strongest[skin_of], [BONES.index(f"foot_{side}"), BONES.index(f"ball_{side}")])]]
    floor, size = foot[:, 2].min(), np.ptp(foot[:, 1]) / ADULTS_FOOT_M
    low = foot[foot[:, 2] < floor + 0.03 * size]
    heel = low[low[:, 1].argmax()]
    front = low[low[:, 1] < low[:, 1].min() + 0.25 * np.ptp(low[:, 1])]
    inward = np.abs(front[:, 0])
    big = front[inward <= inward.min() + 0.45 * np.ptp(inward)]
    toe = big[big[:, 1].argmin()]
    return tuple(np.array([*point[:2], floor + over_m * size], np.float32) for point, over_m in ((heel, 0.02), (toe, 0.015)))  # type: ignore[return-value]


def _foot_axes(ankle: Floats, heel: Floats, toe: Floats) -> Floats:
    """A foot's axes [..., 3, 3] in rows; the second is from heel to toe."""
    return axes(np.cross(ankle - heel, toe - heel), toe - heel)


def _trunk(at: dict[str, Floats], rest: dict[str, Floats], rng: np.random.Generator) -> dict[str, Floats]:
    """Rotations [T, 3, 3] of pelvis, spine, neck, head and collar bones."""
    across_hips, across_shoulders = at["left_hip"] - at["right_hip"], at["left_shoulder"] - at["right_shoulder"]
    at_rest = axes(rest["upperarm_l"] - rest["upperarm_r"], _upright())
    pelvis = _from_rest(axes(across_hips, at["spine"] - at["hip"] + at["thorax"] - at["hip"]), at_rest)
    chest = _from_rest(axes(across_shoulders, at["thorax"] - at["spine"]), at_rest)
    head = _from_rest(axes(across_shoulders, at["head"] - at["neck"]), at_rest) @ _looking(rng, len(chest))
    turns = {"pelvis": pelvis, "spine_01": _between(pelvis, chest, 0.3), "spine_02": _between(pelvis, chest, 0.7), "spine_03": chest}
    return {**turns, "neck_01": _between(chest, head, 0.5), "head": head}


def _arm(turns: dict[str, Floats], at: dict[str, Floats], rest: dict[str, Floats], side: str, long_side: str) -> None:
    upper, lower = at[f"{long_side}_elbow"] - at[f"{long_side}_shoulder"], at[f"{long_side}_wrist"] - at[f"{long_side}_elbow"]
    rest_upper, rest_lower = rest[f"lowerarm_{side}"] - rest[f"upperarm_{side}"], rest[f"hand_{side}"] - rest[f"lowerarm_{side}"]
    chest, hinge = turns["spine_03"], unit(np.cross(rest_upper, rest_lower).astype(np.float32))
    carried = _shortest(np.einsum("tij,j->ti", chest, unit(rest_upper)), unit(upper)) @ chest
    _limb(turns, (f"upperarm_{side}", f"lowerarm_{side}"), (upper, lower), (rest_upper, rest_lower), hinge, np.asarray(carried @ hinge))
    turns[f"hand_{side}"] = turns[f"lowerarm_{side}"]
    turns[f"clavicle_{side}"] = _between(chest, carried, 0.15)


def _leg(turns: dict[str, Floats], at: dict[str, Floats], rest: dict[str, Floats], side: str, long_side: str) -> None:
    upper, lower = at[f"{long_side}_knee"] - at[f"{long_side}_hip"], at[f"{long_side}_ankle"] - at[f"{long_side}_knee"]
    rest_upper, rest_lower = rest[f"calf_{side}"] - rest[f"thigh_{side}"], rest[f"foot_{side}"] - rest[f"calf_{side}"]
    left = np.array([1, 0, 0], np.float32)
    _limb(turns, (f"thigh_{side}", f"calf_{side}"), (upper, lower), (rest_upper, rest_lower), left, np.asarray(turns["pelvis"] @ left))
    calf = turns[f"calf_{side}"]
    across = calf @ left
    flat = _from_rest(axes(across, np.broadcast_to(_upright(), across.shape)), axes(left, _upright()))
    height_m = at[f"{long_side}_ankle"][:, 2] - np.percentile(at[f"{long_side}_ankle"][:, 2], 2)
    low, high = FLOOR_FOOT_M
    with_shank = np.clip((height_m - (low - 0.08)) / (high - low), 0, 1)
    turns[f"foot_{side}"] = turns[f"ball_{side}"] = _between(flat, calf, with_shank[:, None, None])


def _limb(
    turns: dict[str, Floats],
    bones: tuple[str, str],
    to: tuple[Floats, Floats],
    rest: tuple[Floats, Floats],
    rest_hinge: Floats,
    carried_hinge: Floats,
) -> None:
    """Two bones along `to` [T, 3]; their common hinge is at right angles to both, or where they are in line as it was carried along."""
    hinge = _smooth(np.cross(unit(to[0]), unit(to[1])) + 0.25 * carried_hinge)
    for bone, direction, at_rest in zip(bones, to, rest):
        turns[bone] = _from_rest(axes(hinge, direction), axes(rest_hinge, at_rest))


def _chain(rotation: Floats, rest: Floats, root: Floats) -> Floats:
    """Where each bone begins, [T, B, 3]."""
    heads = np.empty((*rotation.shape[:2], 3), np.float32)
    for bone, parent in enumerate(PARENTS):
        heads[:, bone] = root if parent < 0 else heads[:, parent] + rotation[:, parent] @ (rest[bone] - rest[parent])
    return heads


def _from_rest(posed: Floats, at_rest: Floats) -> Floats:
    """The rotation that takes axes (in rows) at rest to the posed ones."""
    return np.asarray(np.swapaxes(posed, -1, -2) @ at_rest, np.float32)


def _between(one: Floats, other: Floats, part: npt.ArrayLike) -> Floats:
    """A rotation about that part of the way from one to the other: the nearest to their mean."""
    left, _, right = np.linalg.svd((1 - np.asarray(part)) * one + np.asarray(part) * other)
    left[..., :, 2] *= np.linalg.det(left @ right)[..., None]
    return np.asarray(left @ right, np.float32)


def _shortest(start: Floats, end: Floats) -> Floats:
    """The smallest rotation [T, 3, 3] that takes unit vectors [T, 3] to others; Rodrigues' formula."""
    x, y, z = np.moveaxis(np.cross(start, end), -1, 0)
    zero, cos = np.zeros_like(x), (start * end).sum(-1)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    return np.asarray(np.eye(3) + cross + cross @ cross / np.maximum(1 + cos, 1e-2)[:, None, None], np.float32)


def _looking(rng: np.random.Generator, count: int) -> Floats:
    """The head's own slow turning to the sides, [T, 3, 3] about the vertical, up to some 25 degrees."""
    seconds, phase = np.arange(count) / 30, rng.uniform(0, 2 * np.pi, 2)
    yaw = 0.3 * np.sin(1.1 * seconds + phase[0]) + 0.12 * np.sin(2.7 * seconds + phase[1])
    sin, cos, zero, one = np.sin(yaw), np.cos(yaw), np.zeros(count), np.ones(count)
    return np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).reshape(-1, 3, 3).astype(np.float32)


def _smooth(vectors: Floats) -> Floats:
    """A moving average over time, [T, 3]."""
    kernel = np.array([1, 3, 5, 6, 5, 3, 1]) / 24
    padded = np.pad(vectors, ((3, 3), (0, 0)), mode="edge")
    return np.asarray(np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in range(3)], -1), np.float32)


def _upright() -> Floats:
    return np.array([0, 0, 1], np.float32)
