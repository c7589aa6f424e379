"""How the rendered people look: shape, clothes, colours, and the light on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.training.bodies import unit
from poselift.models.training.rendered.body import BONES, Body
from poselift.models.training.rendered.pose import rest_heads

Ints = npt.NDArray[np.int64]
Colour = tuple[int, int, int]


class Look(NamedTuple):
    """One person; colours are red, green, blue."""

    shapes: tuple[tuple[str, float], ...]
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    hair_to_m: float
    """How far the hair hangs below the eyes."""
    sleeve: float
    """Part of the arm that it covers, 0 to 1; 0.5 ends at the elbow."""
    leg: float
    """Likewise of the leg."""
    stripes: float
    """Contrast of the shirt's stripes, 0 to 1."""


LOOKS = (
    Look((("caucasian-male-young", 1),), (214, 170, 145), (60, 42, 30), (178, 44, 48), (44, 52, 78), (235, 235, 235), 0.04, 0.3, 1, 0),
    Look(
        (("universal-female-young-averagemuscle-averageweight", 1), ("caucasian-female-young", 1)),
        (226, 186, 164), (112, 76, 44), (236, 236, 230), (30, 30, 34), (60, 60, 64), 0.2, 0.2, 0.95, 0,
    ),
    Look((("african-male-young", 1),), (104, 70, 52), (22, 18, 18), (232, 196, 70), (92, 98, 106), (40, 40, 44), 0.02, 0.3, 0.5, 0),
    Look(
        (("universal-female-young-averagemuscle-averageweight", 1), ("asian-female-young", 1)),
        (222, 182, 150), (26, 22, 24), (56, 118, 92), (122, 106, 88), (190, 60, 60), 0.12, 0.95, 1, 0,
    ),
    Look((("asian-male-young", 1),), (208, 166, 134), (28, 24, 22), (60, 96, 170), (176, 164, 140), (70, 50, 36), 0.04, 0.95, 1, 0.35),
)  # fmt: skip

SKIN, HAIR, EYE, SHIRT, TROUSERS, SHOE = range(6)
LOOSE_M = np.array([0, 0, 0, 0.012, 0.012, 0.008], np.float32)
"""How far each material stands off the body."""
FACE_M, FOREHEAD_M = 0.07, 0.035
"""No hair less far behind the eyes, unless it is higher above them."""


class Dressed(NamedTuple):
    """A body with clothes on."""

    body: Body
    """Its vertices stand off where there is cloth."""
    bare: Body
    material: Ints
    """[T]: of each triangle of `body`"""
    rest_m: Floats
    """[V, 3]: the vertices at rest, on which patterns are painted"""


def dress(bare: Body, look: Look) -> Dressed:
    """The body in its clothes, without the hair that the look has not."""
    of_vertex = _materials(bare, look)
    offset = LOOSE_M[of_vertex]
    normals = vertex_normals(bare.vertices_m, bare.triangles)
    skin_of = bare.surface == 0
    material = np.where(skin_of, np.sort(of_vertex[bare.triangles], 1)[:, 1], np.where(bare.surface == 1, HAIR, EYE))
    _, eye_y, eye_z = bare.joints_m["joint-l-eye"]
    _, y, z = np.moveaxis(bare.vertices_m[bare.triangles].mean(1), -1, 0)
    over_face = (y < eye_y + FACE_M) & (z < eye_z + FOREHEAD_M)
    kept = ~((material == HAIR) & (over_face | (z < eye_z - look.hair_to_m)))
    vertices = bare.vertices_m + offset[:, None] * normals
    worn = bare._replace(vertices_m=vertices, triangles=bare.triangles[kept], surface=bare.surface[kept])
    return Dressed(worn, bare, material[kept], bare.vertices_m)


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Unit normals [V, 3], outward."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [sum(np.bincount(triangles[:, corner], faces[:, axis], len(vertices)) for corner in range(3)) for axis in range(3)], -1
    )
    return unit(normals.astype(np.float32))


def paint(look: Look, dressed: Dressed, material: Ints, rest_m: Floats) -> Floats:
    """Colours [N, 3] 0 to 1 of points on the surface, each of a material and at a place of the body at rest."""
    table = np.array([look.skin, look.hair, (235, 235, 235), look.shirt, look.trousers, look.shoes], np.float32) / 255
    colour = table[material]
    x, y, z = rest_m.T
    cloudy = np.sin(41 * x + 3 * np.sin(23 * z)) * np.sin(37 * z + 2 * np.sin(31 * y)) * np.sin(29 * y + 1)
    colour = colour * (1 + np.array([0.06, 0.12, 0, 0.05, 0.09, 0.05], np.float32)[material] * cloudy)[:, None]
    strands = np.sin(900 * x + 40 * np.sin(30 * z))
    colour = np.where((material == HAIR)[:, None], colour * (1 + 0.25 * strands)[:, None], colour)
    striped = (material == SHIRT) & (np.sin(150 * z) > 0)
    colour = np.where(striped[:, None], colour * (1 - look.stripes) + look.stripes * 0.9, colour)
    return _made_up(dressed.bare, material, rest_m, colour)


def shade(colour: Floats, normals: Floats, rest_m: Floats, material: Ints, light: Floats) -> Floats:
    """Lit colours [N, 3]: a lamp from direction `light` (towards it), the sky above, the floor's reflection below."""
    x, y, z = rest_m.T
    cloth = ((material == SHIRT) | (material == TROUSERS)).astype(np.float32)
    folds = cloth * 0.13 * np.sin(55 * z + 4 * np.sin(18 * x) + 3 * np.sin(25 * y))
    bumped = unit(normals + np.stack([folds * 0.5, folds * 0.5, folds], -1))
    lamp = np.maximum(bumped @ light, 0)
    ambient = 0.42 + 0.16 * bumped[:, 2]
    gloss = np.where(material == SKIN, 0.08, 0.02) * lamp**8
    return np.asarray(colour * (ambient + 0.62 * lamp)[:, None] + gloss[:, None], np.float32)


def _materials(body: Body, look: Look) -> Ints:
    """[V]: what each vertex is clothed with."""
    rest = rest_heads(body)
    along: dict[str, Floats] = {}
    for side in "lr":
        along[f"upperarm_{side}"] = 0.5 * _share(body, rest[f"upperarm_{side}"], rest[f"lowerarm_{side}"])
        along[f"lowerarm_{side}"] = 0.5 + 0.5 * _share(body, rest[f"lowerarm_{side}"], rest[f"hand_{side}"])
        along[f"thigh_{side}"] = 0.5 * _share(body, rest[f"thigh_{side}"], rest[f"calf_{side}"])
        along[f"calf_{side}"] = 0.5 + 0.5 * _share(body, rest[f"calf_{side}"], rest[f"foot_{side}"])
    strongest = body.weights.argmax(1)
    waist_z = rest["pelvis"][2] + 0.07
    collar_z = rest["clavicle_l"][2] + 0.045
    height = body.vertices_m[:, 2]
    material = np.full(len(body.vertices_m), SKIN, np.int64)
    for number, bone in enumerate(BONES):
        of_bone = strongest == number
        kind = bone.split("_")[0]
        if kind in ("pelvis", "spine", "clavicle", "thigh"):
            material[of_bone] = np.where(height[of_bone] > waist_z, SHIRT, TROUSERS)
        if kind in ("spine", "clavicle"):
            material[of_bone & (height > collar_z)] = SKIN
        if kind in ("upperarm", "lowerarm"):
            material[of_bone & (along[bone] < look.sleeve)] = SHIRT
        if kind in ("thigh", "calf"):
            material[of_bone & (along[bone] > look.leg)] = SKIN
            material[of_bone & (along[bone] <= look.leg) & (height <= waist_z)] = TROUSERS
        if kind in ("foot", "ball"):
            material[of_bone] = SHOE
    return material


def _share(body: Body, start: Floats, end: Floats) -> Floats:
    """How far along from start to end each vertex lies."""
    along = end - start
    return np.asarray((body.vertices_m - start) @ along / (along @ along), np.float32)


def _made_up(body: Body, material: Ints, rest_m: Floats, colour: Floats) -> Floats:
    """With irises, brows and lips."""
    x, y, z = rest_m.T
    eye, mouth = body.joints_m["joint-l-eye"], body.joints_m["joint-mouth"]
    sideways, up = np.abs(np.abs(x) - eye[0]), z - eye[2]
    front = y < eye[1] + 0.02
    iris = (material == EYE) & (np.hypot(sideways, up) < 0.0065)
    brow = (material == SKIN) & front & (sideways < 0.022) & (np.abs(up - 0.021 + 6 * sideways**2) < 0.004)
    lips = (material == SKIN) & (y < mouth[1]) & (np.abs(x) < 0.026) & (np.abs(z - mouth[2]) < 0.011 - 0.2 * np.abs(x))
    for where, paint_of in ((iris, (0.2, 0.13, 0.08)), (brow, (0.16, 0.11, 0.09))):
        colour = np.where(where[:, None], np.array(paint_of, np.float32), colour)
    return np.asarray(np.where(lips[:, None], colour * np.array((0.88, 0.55, 0.55), np.float32), colour), np.float32)
