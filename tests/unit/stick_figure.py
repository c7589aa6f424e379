"""A made-up body for tests: MakeHuman's joints at plain places, a vertex at each bone's beginning and a few on the head."""

from __future__ import annotations

import numpy as np

from poselift.models.training.rendered.body import BONES, PARENTS, Body
from poselift.models.training.rendered.pose import HEADS

REST_M = {
    "pelvis": (0, 0.01, 0.95), "spine-4": (0, 0, 1.0), "spine-3": (0, 0, 1.1), "spine-2": (0, 0, 1.2),
    "neck": (0, 0.01, 1.5), "head": (0, -0.02, 1.6),
    "l-clavicle": (0.02, 0, 1.42), "l-shoulder": (0.18, 0, 1.4), "l-elbow": (0.35, 0.01, 1.2), "l-hand": (0.45, -0.15, 1.05),
    "l-upper-leg": (0.1, 0, 0.93), "l-knee": (0.11, -0.01, 0.5), "l-ankle": (0.12, 0.02, 0.08), "l-foot-1": (0.13, -0.12, 0.02),
    "l-eye": (0.03, -0.1, 1.68),
}  # fmt: skip


def stick_figure() -> Body:
    """Its vertices: one for each bone, then nose, ears (of twelve vertices each, as `face` wants them)."""
    joints = {}
    for name, (x, y, z) in REST_M.items():
        joints[f"joint-{name}"] = np.array((x, y, z), np.float32)
        if name.startswith("l-"):
            joints[f"joint-r-{name[2:]}"] = np.array((-x, y, z), np.float32)
    heads = np.array([joints[f"joint-{HEADS[bone]}"] for bone in BONES])
    skull = np.array([(0, -0.13, 1.66)] + 12 * [(0.08, 0, 1.67)] + 12 * [(-0.08, 0, 1.67)])
    vertices = np.concatenate([heads, skull]).astype(np.float32)
    weights = np.zeros((len(vertices), len(BONES)), np.float32)
    weights[np.arange(len(BONES)), np.arange(len(BONES))] = 1
    weights[len(BONES) :, BONES.index("head")] = 1
    triangles = np.arange(len(vertices) // 3 * 3).reshape(-1, 3)
    triangles = np.concatenate([triangles, [[len(vertices) - 3, len(vertices) - 2, len(vertices) - 1]]])
    return Body(vertices, triangles, np.zeros(len(triangles), np.int64), weights, joints)


def solid_figure() -> Body:
    """The same with a box around every bone, and feet of 24 cm in one piece: something to be drawn."""
    stick = stick_figure()
    joints = {**stick.joints_m, "joint-mouth": np.array((0, -0.12, 1.62), np.float32)}
    vertices, triangles, weights = (
        [stick.vertices_m],
        [np.repeat(np.arange(len(BONES), len(stick.vertices_m))[:, None], 3, 1)],
        [stick.weights],
    )
    for number, bone in enumerate(BONES):
        if bone.startswith("ball"):
            continue
        start = joints[f"joint-{HEADS[bone]}"]
        ends = [joints[f"joint-{HEADS[BONES[child]]}"] for child, parent in enumerate(PARENTS) if parent == number] or [start]
        points = np.array([start, *ends])
        low, high = points.min(0) - 0.05, points.max(0) + 0.05
        if bone.startswith("foot"):
            low, high = np.array([start[0] - 0.04, -0.17, 0]), np.array([start[0] + 0.04, 0.07, 0.1])
        corners = np.array([[(low, high)[x][0], (low, high)[y][1], (low, high)[z][2]] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
        faces = np.array([(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]) + sum(map(len, vertices))
        triangles += [faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]
        vertices.append(corners.astype(np.float32))
        weights.append(np.tile(np.eye(len(BONES), dtype=np.float32)[number], (8, 1)))
    drawn = np.concatenate(triangles)
    return Body(np.concatenate(vertices), drawn, np.zeros(len(drawn), np.int64), np.concatenate(weights), joints)
