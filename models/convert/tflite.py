"""TFLite -> ONNX: pictures in as uint8, pruned to the outputs that are used, constants folded, NCHW inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx

from models.convert.tflite_operators import NHWC_TO_NCHW, OPERATORS, Graph
from models.convert.tflite_reader import Network, Operator, Tensor, read
from models.errors import ModelError

OPSET = 11
IR_VERSION = 6
"""The ONNX file format of opset 11's time, so that old runtimes and the Ascend compiler read it."""


def convert(
    flatbuffer: bytes,
    outputs: Mapping[str, str],
    scale: float,
    offset: float,
    metadata: Mapping[str, str],
) -> Any:
    """The `onnx.ModelProto` of a TFLite network that sees a picture.

    Its one input is `picture`, uint8 [1, H, W, 3] RGB; the network is given `picture * scale + offset`. `outputs` maps the
    TFLite names of those to keep to the names they get; whatever only the others need is gone. `metadata` is written into the
    file as it is. Raises ModelError for a file that is no TFLite, an unknown output, or an operator that is not supported.
    """
    network = read(flatbuffer)
    kept = _kept_outputs(network, outputs)
    operators = _needed(network, kept.values())
    graph = Graph()
    for operator in operators:
        graph.constants.update((tensor.index, tensor.constant) for tensor in operator.inputs if tensor.constant is not None)
    picture = _picture(graph, network, scale, offset)
    for operator in operators:
        OPERATORS[operator.kind](graph, operator)
    for name, tensor in kept.items():
        graph.emit("Identity", [graph.read(tensor)], name)
    return _model(graph, picture, kept, metadata)


def _kept_outputs(network: Network, outputs: Mapping[str, str]) -> dict[str, Tensor]:
    found = {tensor.name: tensor for tensor in network.outputs}
    unknown = sorted(set(outputs) - set(found))
    if unknown:
        raise ModelError(f"this TFLite network has no output {', '.join(unknown)}; it has {', '.join(found)}")
    return {name: found[source] for source, name in outputs.items()}


def _needed(network: Network, wanted: Iterable[Tensor]) -> list[Operator]:
    """The operators that the wanted tensors depend on. Raises ModelError where one of them is not supported."""
    indices = {tensor.index for tensor in wanted}
    needed: list[Operator] = []
    for operator in reversed(network.operators):
        if indices.isdisjoint(tensor.index for tensor in operator.outputs):
            continue
        if operator.kind not in OPERATORS:
            raise ModelError(f"the TFLite operator {operator.kind} is not supported; known are {', '.join(OPERATORS)}")
        indices.update(tensor.index for tensor in operator.inputs)
        needed.append(operator)
    return needed[::-1]


def _picture(graph: Graph, network: Network, scale: float, offset: float) -> Any:
    """The graph's input, and the nodes from it to what the network's first operator reads."""
    (source,) = network.inputs
    name = graph.emit("Transpose", ["picture"], "picture_nchw", perm=NHWC_TO_NCHW)
    name = graph.emit("Cast", [name], "picture_float", to=onnx.TensorProto.FLOAT)
    name = graph.emit("Mul", [name, graph.initializer("scale", np.float32(scale))], "picture_scaled")
    if offset:
        name = graph.emit("Add", [name, graph.initializer("offset", np.float32(offset))], "picture_normalised")
    graph.define(source, name)
    return onnx.helper.make_tensor_value_info("picture", onnx.TensorProto.UINT8, source.shape)


def _model(graph: Graph, picture: Any, kept: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Any:
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, tensor.shape) for name, tensor in kept.items()]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in graph.initializers.items()]
    whole = onnx.helper.make_graph(graph.nodes, "tflite", [picture], outputs, initializers)
    model = onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model
