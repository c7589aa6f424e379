"""A network of three operators, and a program that runs it as CANN's documentation says: for the simulator's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sim_acl.om import make_om

ROWS = 40
"""Enough for a tensor of more than the 64 bytes that a buffer may lack."""
WEIGHTS = np.array([[1, 1 / 3, -2]], np.float32)
METADATA = {"licence": "ours"}


def tiny_onnx(path: Path, rows: int | str = ROWS) -> Path:
    """Write `y = where(keep, x, x * WEIGHTS)` and `z = y + 1`; x, y and z are float32 [rows, 3], keep is bool [rows, 1]."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["product"], "product"),
        helper.make_node("Where", ["keep", "x", "product"], ["y"], "select"),
        helper.make_node("Add", ["y", "one"], ["z"]),
    ]
    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 3]) for name in "xyz")
    keep = helper.make_tensor_value_info("keep", TensorProto.BOOL, [rows, 1])
    constants = [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(np.ones((1, 1), np.float32), "one")]
    graph = helper.make_graph(nodes, "tiny", [x, keep], [y, z], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    helper.set_model_props(model, METADATA)
    onnx.save(model, path)
    return path


def tiny_om(folder: Path, name: str = "tiny", **options: Any) -> str:
    """The path of a new `.om` of it."""
    make_om(tiny_onnx(folder / f"{name}.onnx"), folder / f"{name}.om", **options)
    return str(folder / f"{name}.om")


def halved(array: Any) -> np.ndarray:
    """Rounded to float16, as float32."""
    return np.asarray(array, np.float32).astype(np.float16).astype(np.float32)


@contextmanager
def device(acl: ModuleType) -> Iterator[int]:
    """pyACL initialised, the device in use; gives a stream. All of it is given back in the right order."""
    assert acl.init() == 0
    assert acl.rt.set_device(0) == 0
    stream, ret = acl.rt.create_stream()
    assert ret == 0
    try:
        yield stream
    finally:
        acl.rt.destroy_stream(stream)
        acl.rt.reset_device(0)
        acl.finalize()


class Loaded:
    """An `.om` that is loaded, with a buffer in device memory for each tensor, until it is closed."""

    def __init__(self, acl: ModuleType, path: str) -> None:
        self._acl = acl
        self.id, ret = acl.mdl.load_from_file(path)
        assert ret == 0, ret
        self.desc = acl.mdl.create_desc()
        assert acl.mdl.get_desc(self.desc, self.id) == 0
        self.sizes = [acl.mdl.get_input_size_by_index(self.desc, index) for index in range(acl.mdl.get_num_inputs(self.desc))]
        inputs = len(self.sizes)
        self.sizes += [acl.mdl.get_output_size_by_index(self.desc, index) for index in range(acl.mdl.get_num_outputs(self.desc))]
        self.addresses = [acl.rt.malloc(size, 0)[0] for size in self.sizes]
        self.buffers = [acl.create_data_buffer(address, size) for address, size in zip(self.addresses, self.sizes)]
        self.inputs, self.outputs = self.dataset(self.buffers[:inputs]), self.dataset(self.buffers[inputs:])
        self.y = self.addresses[inputs]

    def dataset(self, buffers: list[int]) -> int:
        dataset = self._acl.mdl.create_dataset()
        for buffer in buffers:
            assert self._acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
        return dataset

    def put(self, index: int, array: np.ndarray) -> None:
        """Fill an input."""
        copy(self._acl, self.addresses[index], array.ctypes.data, array.nbytes, "h2d")

    def get(self, index: int, dtype: str = "float32") -> np.ndarray:
        """What an output's buffer holds."""
        array = np.zeros((ROWS, 3), dtype)
        copy(self._acl, array.ctypes.data, self.addresses[2 + index], array.nbytes, "d2h")
        return array

    def close(self) -> None:
        acl = self._acl
        acl.mdl.unload(self.id)
        acl.mdl.destroy_desc(self.desc)
        for dataset in (self.inputs, self.outputs):
            acl.mdl.destroy_dataset(dataset)
        for buffer in self.buffers:
            acl.destroy_data_buffer(buffer)
        for address in self.addresses:
            acl.rt.free(address)

    def __enter__(self) -> Loaded:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def copy(acl: ModuleType, target: int, source: int, count: int, direction: str) -> None:
    """With the kind that the run mode wants."""
    kind = {"h2d": 1, "d2h": 2, "d2d": 3}[direction] if acl.rt.get_run_mode() == (1, 0) else 3
    assert acl.rt.memcpy(target, count, source, count, kind) == 0
