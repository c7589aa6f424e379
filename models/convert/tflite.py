"""TFLite -> ONNX: pictures in as uint8, pruned to the outputs that are used, constants folded, NCHW inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx

from poselift.common.errors import ModelError
from poselift.models.convert import IR_VERSION, OPSET
from poselift.models.convert.tflite_operators import OPERATORS, Graph, Value
from poselift.models.convert.tflite_prune import prune
from poselift.models.convert.tflite_reader import Network, Operator, Tensor, read


def convert(
    flatbuffer: bytes,
    outputs: Mapping[str, str],
    picture_range: tuple[float, float],
    metadata: Mapping[str, str],
    channels: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> Any:
    """The `onnx.ModelProto` of a TFLite network that sees a picture.

    Its one input is `picture`, uint8 [1, H, W, 3] RGB; the network sees 0 to 255 as `picture_range`. `outputs` maps the TFLite
    names of those to keep to the names they get (a map comes out as [1, channels, H, W], as it is inside); what only the others need is
    gone. Of those in `channels`, by their TFLite names, only these channels are kept. `metadata` is written into the file as it is, with
    `picture_range`. Raises ModelError for a file that is no TFLite, an unknown output, or an operator that is not supported.
    """
    network = prune(read(flatbuffer), channels)
    kept = _kept_outputs(network, outputs)
    operators = _needed(network, kept.values())
    graph = Graph()
    for operator in operators:
        graph.constants.update((tensor.number, tensor.constant) for tensor in operator.inputs if tensor.constant is not None)
    picture = _picture(graph, network, picture_range)
    for operator in operators:
        OPERATORS[operator.kind](graph, operator)
    for name, tensor in kept.items():
        graph.emit("Identity", [graph.read(tensor)], name)
    return _model(graph, picture, kept, {**metadata, "picture_range": f"{picture_range[0]:g} {picture_range[1]:g}"})


def _kept_outputs(network: Network, outputs: Mapping[str, str]) -> dict[str, Tensor]:
    found = {tensor.name: tensor for tensor in network.outputs}
    unknown = sorted(set(outputs) - set(found))
    if unknown:
        raise ModelError(f"this TFLite network has no output {', '.join(unknown)}; it has {', '.join(found)}")
    return {name: found[source] for source, name in outputs.items()}


def _needed(network: Network, wanted: Iterable[Tensor]) -> list[Operator]:
    """The operators that the wanted tensors depend on. Raises ModelError where one of them is not supported."""
    indices = {tensor.number for tensor in wanted}
    needed: list[Operator] = []
    for operator in reversed(network.operators):
        if indices.isdisjoint(tensor.number for tensor in operator.outputs):
            continue
        if operator.kind not in OPERATORS:
            raise ModelError(f"the TFLite operator {operator.kind} is not supported; known are {', '.join(OPERATORS)}")
        indices.update(tensor.number for tensor in operator.inputs)
        needed.append(operator)
    return needed[::-1]


def _picture(graph: Graph, network: Network, picture_range: tuple[float, float]) -> Any:
    """The graph's input, and the nodes from it to what the first convolution reads."""
    if [len(tensor.shape) for tensor in network.inputs] != [4]:
        raise ModelError(f"this TFLite network takes {[tensor.shape for tensor in network.inputs]}; only one picture can be converted")
    (source,), (low, high) = network.inputs, picture_range
    scale = (high - low) / 255
    _, height, width, channels = source.shape
    rows = graph.initializer("picture_shape", np.array([1, 1, height, width * channels], np.int64))
    name = graph.emit("Reshape", ["picture", rows], "picture_rows")
    name = graph.emit("Cast", [name], "picture_float", to=onnx.TensorProto.FLOAT)
    if low:  # before the scale: the zeros that pad the picture stay zeros
        name = graph.emit("Add", [name, graph.initializer("picture_offset", np.float32(low / scale))], "picture_centred")
    graph.values[source.number] = Value(name, picture_scale=scale)
    return onnx.helper.make_tensor_value_info("picture", onnx.TensorProto.UINT8, source.shape)


def _model(graph: Graph, picture: Any, kept: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Any:
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, _inner(tensor.shape)) for name, tensor in kept.items()]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in graph.initializers.items()]
    whole = onnx.helper.make_graph(graph.nodes, "tflite", [picture], outputs, initializers)
    model = onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def _inner(shape: Sequence[int]) -> list[int]:
    """A shape as it is inside the graph: pictures and maps as NCHW."""
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else list(shape)
