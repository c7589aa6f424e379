"""Sparse TFLite tensors made dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Integers = npt.NDArray[np.integer]


class DenseLevel(NamedTuple):
    """Every coordinate 0 to size - 1 of a dimension is stored."""

    size: int


class SparseLevel(NamedTuple):
    """Only some coordinates are stored: node n of the level above owns `indices[segments[n]:segments[n + 1]]`."""

    segments: Integers
    indices: Integers


Level = Union[DenseLevel, SparseLevel]


def densify(
    values: Array,
    shape: Sequence[int],
    levels: Sequence[Level],
    traversal_order: Sequence[int],
    block_map: Optional[Sequence[int]] = None,
) -> Array:
    """The dense tensor [*shape] of the stored `values` [n]; what is not stored is zero.

    `levels` describe the storage tree from the outermost loop inwards; `traversal_order` names the dimension of each. With
    rank r, dimension r + b is the position inside a block along dimension `block_map[b]`. The format is the one of
    `SparsityParameters` in TensorFlow Lite's schema.fbs (after Chou et al., "Format Abstraction for Sparse Tensor Algebra
    Compilers", 2018).
    """
    node = np.zeros(1, np.int64)
    coordinates: dict[int, Integers] = {}
    for dimension, level in zip(traversal_order, levels):
        if isinstance(level, DenseLevel):
            parent = np.repeat(np.arange(len(node)), level.size)
            coordinate: Integers = np.tile(np.arange(level.size), len(node))
            node = node[parent] * level.size + coordinate
        else:
            first, last = (level.segments.astype(np.int64)[node + end] for end in (0, 1))
            parent = np.repeat(np.arange(len(node)), last - first)
            run_start = np.cumsum(last - first) - (last - first)
            node = first[parent] + np.arange(len(parent)) - run_start[parent]
            coordinate = level.indices[node].astype(np.int64)
        coordinates = {known: of_node[parent] for known, of_node in coordinates.items()}
        coordinates[dimension] = coordinate

    for block, dimension in enumerate(block_map or ()):
        level = levels[list(traversal_order).index(len(shape) + block)]
        if not isinstance(level, DenseLevel):
            raise ValueError(f"block dimension {block} is stored sparse; a block has a fixed size")
        coordinates[dimension] = coordinates[dimension] * level.size + coordinates[len(shape) + block]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(coordinates[dimension] for dimension in range(len(shape)))] = values[node]
    return dense
