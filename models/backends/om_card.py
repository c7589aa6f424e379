"""The card beside an `.om` file: what the file itself does not tell. `poselift models atc` writes it, the NPU's backend reads it.

A converted network keeps neither its metadata nor the names of its axes, and pyACL does not say which chip it was made for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poselift.common.errors import ModelError
from poselift.models.backends.backend import Tensor

REMEDY = "copy the whole folder that `poselift models atc` wrote"


class OmCard(NamedTuple):
    """One converted network."""

    name: str
    """Its name in the manifest of weights, such as 'lifter'."""
    soc: str
    """The chip it was made for, as ATC names it: Ascend310, Ascend310B1, Ascend310B4."""
    inputs: tuple[Tensor, ...]
    """What the ONNX graph takes; all sizes are fixed. The converted network may hold other dtypes of the same names and shapes."""
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]
    """What was written beside the ONNX graph: licence, receptive field, rate..."""
    onnx_sha256: str
    """Of the ONNX file that ATC was given."""


def card_path(om: Path) -> Path:
    """`NAME.json` beside `NAME.om`."""
    return om.with_suffix(".json")


def write_card(card: OmCard, om: Path) -> None:
    """Write the card of `om`, which may not exist yet. Raises OSError."""
    tree = {**card._asdict(), "inputs": list(map(_plain, card.inputs)), "outputs": list(map(_plain, card.outputs))}
    card_path(om).write_text(json.dumps(tree, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_card(om: Path) -> OmCard:
    """The card of `om`. Raises ModelError where there is none or it cannot be used."""
    path = card_path(om)
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path}: the card of {om.name} is missing; {REMEDY}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: this card cannot be read ({error}); {REMEDY}") from None
    try:
        return OmCard(
            name=str(tree["name"]),
            soc=str(tree["soc"]),
            inputs=tuple(map(_tensor, tree["inputs"])),
            outputs=tuple(map(_tensor, tree["outputs"])),
            metadata={str(key): str(value) for key, value in tree["metadata"].items()},
            onnx_sha256=str(tree["onnx_sha256"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: this is no card of a converted network ({type(error).__name__}: {error}); {REMEDY}") from None


def _plain(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}


def _tensor(tree: Mapping[str, Any]) -> Tensor:
    return Tensor(str(tree["name"]), np.dtype(tree["dtype"]), tuple(map(int, tree["shape"])))
