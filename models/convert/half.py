"""A stateful graph in half precision: weights, state and arithmetic in float16, to see on a CPU about what an NPU would give.

It is an approximation, and not the worst case: ONNX Runtime's CPU backend has no float16 form of most operators, computes these in
float32, and rounds only where a float16 operator or the state comes next. An NPU also adds up in float32, but rounds what each
operator gives, and may add in another order.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with weights, state and arithmetic in float16; all else that it takes and gives stays as it is.

    Raises ValueError where a weight is beyond float16's 65504.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    for constant in graph.initializer:
        if constant.data_type == FLOAT:
            constant.CopyFrom(_rounded(constant))
    before, after = [], []
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type != FLOAT:
            continue
        if value.name.startswith(("state_", "next_state_")):
            value.type.tensor_type.elem_type = HALF
            continue
        within = f"{value.name}_half"
        _rename(graph, value.name, within)
        if value in graph.input:
            before.append(helper.make_node("Cast", [value.name], [within], to=HALF))
        else:
            after.append(helper.make_node("Cast", [within], [value.name], to=FLOAT))
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(half, full_check=True)
    return half


def _rounded(constant: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(constant)
    largest = float(np.abs(values).max(initial=0))
    if not largest <= float(np.finfo(np.float16).max):
        raise ValueError(f"{constant.name}: {largest:g} is no number that float16 can hold")
    return numpy_helper.from_array(values.astype(np.float16), constant.name)


def _rename(graph: onnx.GraphProto, name: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if tensor == name else tensor for tensor in names]
