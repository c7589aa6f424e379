"""Writes PyTorch's two forms of a checkpoint without PyTorch, from plain values, numpy arrays and pieces of pickle."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "bool": "Bool"}
MAGIC = 0x1950A86A20F9469CFC6C
FACTS = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Raw(bytes):
    """Operations of a pickle, to be written as they are."""


def as_raw(value: Any, protocol: int = 2) -> Raw:
    """The operations by which Python's own pickle writes a value."""
    return Raw(pickle.dumps(value, protocol)[2:-1])


class Python2Dict(OrderedDict):
    """An OrderedDict as Python 2 pickled it: its entries are an argument of the call."""


class Tensor:
    """An array as a part of its storage: by default, all of it."""

    def __init__(
        self, storage: np.ndarray, offset: int = 0, shape: Any = None, strides: Any = None, key: str = "", size: Any = None
    ) -> None:
        whole = np.ascontiguousarray(storage)
        self.storage, self.offset, self.key = whole.reshape(-1), offset, key
        self.shape = storage.shape if shape is None else shape
        self.strides = tuple(stride // whole.itemsize for stride in whole.strides)[: storage.ndim] if strides is None else strides
        self.size = whole.size if size is None else size


class _Writer:
    def __init__(self) -> None:
        self.storages: dict[str, np.ndarray] = {}

    def pickle(self, value: Any) -> bytes:
        return b"\x80\x02" + self._value(value) + b"."

    def _value(self, value: Any) -> bytes:
        if isinstance(value, Raw):
            return bytes(value)
        if isinstance(value, np.ndarray):
            return self._tensor(Tensor(value))
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, str):
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self._value, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(self._value, value)) + b"e"
        if isinstance(value, Python2Dict):
            return b"ccollections\nOrderedDict\n" + self._value(([list(item) for item in value.items()],)) + b"R"
        if isinstance(value, OrderedDict):
            made = b"ccollections\nOrderedDict\n)R"
            metadata = self._value({"_metadata": {"": {"version": 1}}})
            return made + self._entries(value) + metadata + b"b"
        if isinstance(value, dict):
            return b"}" + self._entries(value)
        return bytes(as_raw(value))

    def _entries(self, value: dict[Any, Any]) -> bytes:
        return b"(" + b"".join(self._value(key) + self._value(item) for key, item in value.items()) + b"u"

    def _tensor(self, tensor: Tensor) -> bytes:
        key = tensor.key or str(len(self.storages))
        self.storages[key] = tensor.storage
        kind = Raw(b"ctorch\n" + STORAGES[tensor.storage.dtype.name].encode() + b"Storage\n")
        storage = self._value(("storage", kind, key, "cpu", tensor.size, *self.view)) + b"Q"
        arguments = self._value((Raw(storage), tensor.offset, tensor.shape, tensor.strides, False, OrderedDict()))
        return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"

    view: tuple[None, ...] = ()


class _OlderWriter(_Writer):
    view = (None,)


def zipped(content: Any, order: str = "little", compression: int = zipfile.ZIP_STORED) -> bytes:
    """The zip form."""
    writer, out = _Writer(), io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr("archive/data.pkl", writer.pickle(content))
        file.writestr("archive/byteorder", order)
        for key, numbers in writer.storages.items():
            file.writestr(f"archive/data/{key}", numbers.astype(numbers.dtype.newbyteorder("<" if order == "little" else ">")).tobytes())
        file.writestr("archive/version", "3\n")
    return out.getvalue()


def older(content: Any) -> bytes:
    """The form before the zip."""
    writer = _OlderWriter()
    whole = [writer.pickle(value) for value in (MAGIC, 1001, FACTS, content)]
    keys = sorted(writer.storages)
    numbers = [struct.pack("<q", len(writer.storages[key])) + writer.storages[key].tobytes() for key in keys]
    return b"".join([*whole, writer.pickle(keys), *numbers])


FORMS = {"zip": zipped, "older": older}


def write(path: Path, content: Any, form: str = "zip") -> Path:
    """A checkpoint file."""
    path.write_bytes(FORMS[form](content))
    return path


def random_model(widths: tuple[int, ...], channels: int, seed: int = 0, keypoints: int = 17, values: int = 2, joints: int = 17) -> Any:
    """A state dict as VideoPose3D's networks have it: random weights, and statistics of batches that are far from 0 and 1."""
    rng = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def normalisation(name: str) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": rng.uniform(0.5, 1.5, channels).astype(np.float32),
            f"{name}.bias": (0.3 * rng.normal(size=channels)).astype(np.float32),
            f"{name}.running_mean": (0.3 * rng.normal(size=channels)).astype(np.float32),
            f"{name}.running_var": rng.uniform(0.02, 2, channels).astype(np.float32),
            f"{name}.num_batches_tracked": np.array(1000, np.int64),
        }

    weights = {"expand_conv.weight": matrix(channels, keypoints * values, widths[0]), **normalisation("expand_bn")}
    for block, width in enumerate(widths[1:]):
        weights[f"layers_conv.{2 * block}.weight"] = matrix(channels, channels, width)
        weights[f"layers_conv.{2 * block + 1}.weight"] = matrix(channels, channels, 1)
        weights.update(normalisation(f"layers_bn.{2 * block}"))
        weights.update(normalisation(f"layers_bn.{2 * block + 1}"))
    weights["shrink.weight"] = 0.3 * matrix(joints * 3, channels, 1)
    weights["shrink.bias"] = matrix(1, joints * 3)[0]
    return OrderedDict(weights)


def checkpoint(model: Any) -> dict[str, Any]:
    """What VideoPose3D saves beside the weights."""
    moments = {"step": 7, "exp_avg": np.ones(3, np.float32), "exp_avg_sq": np.ones(3, np.float32)}
    optimizer = {"state": {0: moments}, "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "amsgrad": True, "params": [0]}]}
    random_state = as_raw(np.random.RandomState(1))
    return {"epoch": 80, "lr": 4e-5, "random_state": random_state, "optimizer": optimizer, "model_pos": model}
