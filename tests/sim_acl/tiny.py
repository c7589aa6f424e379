"""A network of three operators, for the simulator's own tests."""

from __future__ import annotations

from pathlib import Path
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
