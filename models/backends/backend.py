"""What runs a network: named, typed, shaped tensors in and out. `open_model` picks the backend by the file's ending."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from poselift.common.arrays import Array
from poselift.common.errors import ModelError

BACKENDS = {".onnx": ("poselift.models.backends.onnx", "OnnxModel"), ".om": ("poselift.models.backends.ascend", "AscendModel")}
"""File ending -> module and class; adding a backend is one new file and one line here."""


class Tensor(NamedTuple):
    """A network's input or output: its name, dtype and shape (-1 where the graph leaves the size open)."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


class Model(Protocol):
    """A network that is ready to run."""

    @property
    def device(self) -> str:
        """Where it runs: 'cpu' or 'npu'."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is written beside the graph: licence, receptive field, rate..."""

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, for one tensor per input."""

    def carrying(self, states: Mapping[str, str], rows: int) -> Carrying:
        """This network with a past: an input of `states` is what its output gave the last time, and zeros at first.

        `rows`: the size of these inputs' first axis, where the graph leaves it open. Close it before the network itself.
        """

    def close(self) -> None:
        """Give back what the device holds; this is the last call."""


class Carrying(Protocol):
    """A network whose past stays where the network runs."""

    def run(self, tensors: Mapping[str, Array], keep: bool) -> dict[str, Array]:
        """All outputs but the past, by name, for one tensor per input but the past. What is not kept never was."""

    def close(self) -> None:
        """Forget the past, and give back what the device holds of it."""


def open_model(path: Path, threads: int = 1, device: int = 0) -> Model:
    """The network in `path`, run with `threads` CPU threads (.onnx) or on the NPU of number `device` (.om). Close it in the end.

    Raises ModelError where the file is missing, damaged, or of a kind that no backend here runs, and DeviceError.
    """
    ending = path.suffix.lower()
    if ending not in BACKENDS:
        raise ModelError(f"{path}: no backend runs a '{path.suffix}' file; known endings: {', '.join(BACKENDS)}")
    if not path.is_file():
        raise ModelError(f"{path}: this model is missing; type: poselift models {'atc' if ending == '.om' else 'pull'}")
    module, name = BACKENDS[ending]
    backend: type[Model] = getattr(import_module(module), name)
    return backend(path, threads, device)  # type: ignore[call-arg]
