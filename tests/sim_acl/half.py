"""An ONNX graph in half precision, computed about as an NPU does: float16 weights, and every operator's result rounded to float16.

Within an operator all is float32: an NPU also adds up in float32. It may add in another order, so its results differ in last places.
ONNX Runtime takes two casts that follow each other for nothing (1.19 does, on any level of optimization); hence the Identity between.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
MOVES = {
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    "DepthToSpace", "SpaceToDepth", "MaxPool", "Relu", "Where", "Max", "Min",
}  # fmt: skip
"""These give numbers that they were given (or 0): what comes out of them is as round as what goes in."""


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with the same inputs and outputs, rounded. Raises ValueError where a weight is beyond float16's 65504."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    floats = _floats(half)
    for constant in graph.initializer:
        if constant.data_type == FLOAT:
            constant.CopyFrom(_rounded(constant))
    nodes = []
    for value in graph.input:
        if value.name in floats:
            within = f"{value.name}_rounded"
            _rename_uses(graph, value.name, within)
            nodes += _rounding(value.name, within)
    for node in graph.node:
        nodes.append(node)
        if node.op_type in MOVES:
            continue
        for index, name in enumerate(node.output):
            if name in floats:
                node.output[index] = f"{name}_exact"
                nodes += _rounding(node.output[index], name)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(half, full_check=True)
    return half


def _floats(model: onnx.ModelProto) -> set[str]:
    """The names of all float32 tensors but the weights."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}


def _rounding(exact: str, rounded: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", [exact], [f"{rounded}_half"], to=HALF),
        helper.make_node("Identity", [f"{rounded}_half"], [f"{rounded}_kept"]),
        helper.make_node("Cast", [f"{rounded}_kept"], [rounded], to=FLOAT),
    ]


def _rounded(constant: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(constant)
    largest = float(np.abs(values).max(initial=0))
    if not largest <= float(np.finfo(np.float16).max):
        raise ValueError(f"{constant.name}: {largest:g} is no number that float16 can hold")
    return numpy_helper.from_array(values.astype(np.float16).astype(np.float32), constant.name)


def _rename_uses(graph: onnx.GraphProto, name: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if tensor == name else tensor for tensor in node.input]
