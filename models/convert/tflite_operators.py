"""Each TFLite operator in the words of ONNX opset 11. A new operator is a function here and a line in `OPERATORS`.

Inside the ONNX graph a tensor of rank 4 is NCHW where TFLite has NHWC; every other tensor keeps its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import numpy.typing as npt
import onnx
import tflite

from poselift.common.errors import ModelError
from poselift.models.convert.tflite_reader import Operator, Tensor

Array = npt.NDArray[np.generic]

NHWC_TO_NCHW, NCHW_TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
CLIPS = {tflite.ActivationFunctionType.RELU6: (0.0, 6.0), tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0)}


class Value(NamedTuple):
    """What a TFLite tensor is called in the ONNX graph, and what its reader has still to do to it.

    `pads` are zeros around it (top, left, bottom, right): a convolution adds them for nothing, other readers need a Pad.
    `picture_scale`: this is the picture, [1, 1, H, W * 3], still to be multiplied by this number.
    """

    name: str
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    picture_scale: Optional[float] = None


class Graph:
    """The ONNX graph while it grows."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: dict[str, Array] = {}
        self.values: dict[int, Value] = {}
        self.constants: dict[int, Array] = {}

    def emit(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append one node; returns its output's name."""
        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def initializer(self, name: str, array: npt.ArrayLike) -> str:
        """Store a constant; returns its name."""
        self.initializers[name] = np.ascontiguousarray(array)
        return name

    def define(self, tensor: Tensor, name: str, activation: int = tflite.ActivationFunctionType.NONE) -> None:
        """`name` is what `tensor` is computed as, but for its fused activation function."""
        if activation == tflite.ActivationFunctionType.RELU:
            name = self.emit("Relu", [name], f"{name}_relu")
        elif activation in CLIPS:
            bounds = [self.initializer(f"constant_{bound:g}", np.float32(bound)) for bound in CLIPS[activation]]
            name = self.emit("Clip", [name, *bounds], f"{name}_clip")
        elif activation != tflite.ActivationFunctionType.NONE:
            raise ModelError(f"tensor '{tensor.name}': fused activation function {activation} of the TFLite schema cannot be converted")
        self.values[tensor.number] = Value(name)

    def constant(self, tensor: Tensor) -> Array:
        """The values of a tensor that must not depend on the input."""
        if tensor.number not in self.constants:
            raise ModelError(f"tensor '{tensor.name}' is computed; only a constant can be converted here")
        return self.constants[tensor.number]

    def read(self, tensor: Tensor) -> str:
        """The name of a computed tensor with all its zeros around it."""
        if tensor.number in self.constants:
            raise ModelError(f"tensor '{tensor.name}' is constant; only a computed one can be converted here")
        value = self.values[tensor.number]
        if value.picture_scale is not None:
            raise ModelError("the picture must be read by CONV_2D; a network that starts otherwise cannot be converted")
        if not any(value.pads):
            return value.name
        top, left, bottom, right = value.pads
        pads = self.initializer(f"{value.name}_pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        padded = self.emit("Pad", [value.name, pads], f"t{tensor.number}")
        self.values[tensor.number] = Value(padded)
        return padded


def _name(operator: Operator) -> str:
    return f"t{operator.outputs[0].number}"


def _window(operator: Operator, kernel: tuple[int, int], dilation: tuple[int, int]) -> dict[str, list[int]]:
    """ONNX attributes of a sliding window. TensorFlow's SAME puts the odd zero at the end."""
    options, (_, *size, _) = operator.options, operator.inputs[0].shape
    strides = (options.StrideH(), options.StrideW())
    begin, end = [0, 0], [0, 0]
    if options.Padding() == tflite.Padding.SAME:
        for axis in (0, 1):
            steps = -(-size[axis] // strides[axis]) - 1
            total = max(steps * strides[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - size[axis], 0)
            begin[axis], end[axis] = total // 2, total - total // 2
    return {"kernel_shape": list(kernel), "strides": list(strides), "pads": begin + end}


def _convolution(graph: Graph, operator: Operator, weights: Array, groups: int) -> None:
    """`weights` [out, in / groups, height, width]."""
    source, _, *bias = operator.inputs
    options, name, value = operator.options, _name(operator), graph.values[source.number]
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    window = _window(operator, weights.shape[2:], dilation)
    window["pads"] = [own + before for own, before in zip(window["pads"], value.pads)]
    if value.picture_scale is not None:
        weights, window = _over_picture_rows(np.multiply(weights, np.float32(value.picture_scale)), window)
    inputs = [value.name, graph.initializer(f"{name}_weights", weights)]
    inputs += [graph.initializer(f"{name}_bias", graph.constant(tensor)) for tensor in bias]
    graph.emit("Conv", inputs, name, group=groups, dilations=list(dilation), **window)
    graph.define(operator.outputs[0], name, options.FusedActivationFunction())


def _over_picture_rows(weights: Array, window: Mapping[str, list[int]]) -> tuple[Array, dict[str, list[int]]]:
    """The same convolution over a picture as it lies in memory: one channel, each row red, green, blue, red, green, blue...

    It saves the graph its only large transpose.
    """
    out, channels, height, width = weights.shape
    (down, across), (top, left, bottom, right) = window["strides"], window["pads"]
    return weights.transpose(0, 2, 3, 1).reshape(out, 1, height, width * channels), {
        "kernel_shape": [height, width * channels],
        "strides": [down, across * channels],
        "pads": [top, left * channels, bottom, right * channels],
    }


def convolution(graph: Graph, operator: Operator) -> None:
    """CONV_2D; weights [out, height, width, in]."""
    _convolution(graph, operator, graph.constant(operator.inputs[1]).transpose(NHWC_TO_NCHW), groups=1)


def depthwise_convolution(graph: Graph, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D; weights [1, height, width, in x multiplier]."""
    weights = graph.constant(operator.inputs[1]).transpose(3, 0, 1, 2)
    _convolution(graph, operator, weights, groups=operator.inputs[0].shape[3])


def max_pool(graph: Graph, operator: Operator) -> None:
    """MAX_POOL_2D; what lies outside is left out of the maximum by both."""
    options, (source,) = operator.options, operator.inputs
    window = _window(operator, (options.FilterHeight(), options.FilterWidth()), dilation=(1, 1))
    name = graph.emit("MaxPool", [graph.read(source)], _name(operator), **window)
    graph.define(operator.outputs[0], name, options.FusedActivationFunction())


def pad(graph: Graph, operator: Operator) -> None:
    """PAD of height and width with zeros; the reader decides how."""
    source, amounts = operator.inputs
    (batch, (top, bottom), (left, right), channels), value = graph.constant(amounts).tolist(), graph.values[source.number]
    if any(batch + channels) or any(value.pads):
        raise ModelError(f"PAD '{operator.outputs[0].name}' pads more than height and width, or twice, which cannot be converted")
    graph.values[operator.outputs[0].number] = value._replace(pads=(top, left, bottom, right))


def add(graph: Graph, operator: Operator) -> None:
    """ADD of two tensors of one shape."""
    one, other = operator.inputs
    if one.shape != other.shape:
        raise ModelError(f"ADD '{operator.outputs[0].name}' broadcasts {one.shape} and {other.shape}, which cannot be converted")
    name = graph.emit("Add", [graph.read(one), graph.read(other)], _name(operator))
    graph.define(operator.outputs[0], name, operator.options.FusedActivationFunction())


def concatenation(graph: Graph, operator: Operator) -> None:
    """CONCATENATION."""
    rank = len(operator.outputs[0].shape)
    axis = operator.options.Axis() % rank
    axis = NHWC_TO_NCHW.index(axis) if rank == 4 else axis
    name = graph.emit("Concat", [graph.read(tensor) for tensor in operator.inputs], _name(operator), axis=axis)
    graph.define(operator.outputs[0], name, operator.options.FusedActivationFunction())


def reshape(graph: Graph, operator: Operator) -> None:
    """RESHAPE of a tensor of rank 4 to fewer dimensions, in TFLite's order of elements."""
    source, target = operator.inputs[0], operator.outputs[0]
    if len(source.shape) != 4 or len(target.shape) == 4:
        raise ModelError(f"RESHAPE '{target.name}' from {source.shape} to {target.shape} cannot be converted")
    name, (_, height, width, _) = graph.read(source), source.shape
    if height * width > 1:
        name = graph.emit("Transpose", [name], f"{name}_nhwc", perm=NCHW_TO_NHWC)
    shape = graph.initializer(f"{_name(operator)}_shape", np.array(target.shape, np.int64))
    graph.define(target, graph.emit("Reshape", [name, shape], _name(operator)))


def _resize(graph: Graph, operator: Operator, **attributes: str) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    (batch, height, width, channels), name = target.shape, _name(operator)
    unused = graph.initializer("none", np.zeros(0, np.float32))
    sizes = graph.initializer(f"{name}_sizes", np.array([batch, channels, height, width], np.int64))
    inputs = [graph.read(source), unused, unused, sizes]
    graph.define(target, graph.emit("Resize", inputs, name, **attributes))


def resize_bilinear(graph: Graph, operator: Operator) -> None:
    """RESIZE_BILINEAR, in each of TensorFlow's three ways to lay one grid on the other."""
    if operator.options.AlignCorners():
        mode = "align_corners"
    elif operator.options.HalfPixelCenters():
        mode = "half_pixel"
    else:
        mode = "asymmetric"
    _resize(graph, operator, mode="linear", coordinate_transformation_mode=mode)


def resize_nearest(graph: Graph, operator: Operator) -> None:
    """RESIZE_NEAREST_NEIGHBOR: each pixel is the one at or before its place."""
    if operator.options.AlignCorners() or operator.options.HalfPixelCenters():
        raise ModelError(
            f"RESIZE_NEAREST_NEIGHBOR '{operator.outputs[0].name}' lays its grids by corners or half pixels, which cannot be converted"
        )
    _resize(graph, operator, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def depth_to_space(graph: Graph, operator: Operator) -> None:
    """DEPTH_TO_SPACE; TensorFlow's order of the channels is ONNX's DCR."""
    inputs = [graph.read(operator.inputs[0])]
    name = graph.emit("DepthToSpace", inputs, _name(operator), blocksize=operator.options.BlockSize(), mode="DCR")
    graph.define(operator.outputs[0], name)


def logistic(graph: Graph, operator: Operator) -> None:
    """LOGISTIC."""
    graph.define(operator.outputs[0], graph.emit("Sigmoid", [graph.read(operator.inputs[0])], _name(operator)))


def densify(graph: Graph, operator: Operator) -> None:
    """DENSIFY; the reader has made every constant dense."""
    graph.constants[operator.outputs[0].number] = graph.constant(operator.inputs[0])


def quantize(graph: Graph, operator: Operator) -> None:
    """QUANTIZE: what is computed stays a float."""
    graph.values[operator.outputs[0].number] = graph.values[operator.inputs[0].number]


def dequantize(graph: Graph, operator: Operator) -> None:
    """DEQUANTIZE: of a float16 constant, done now; what is computed is a float all along."""
    source, target = operator.inputs[0], operator.outputs[0]
    if source.number in graph.constants:
        graph.constants[target.number] = graph.constant(source).astype(np.float32)
    else:
        graph.values[target.number] = graph.values[source.number]


OPERATORS: dict[str, Callable[[Graph, Operator], None]] = {
    "ADD": add,
    "CONCATENATION": concatenation,
    "CONV_2D": convolution,
    "DENSIFY": densify,
    "DEPTHWISE_CONV_2D": depthwise_convolution,
    "DEPTH_TO_SPACE": depth_to_space,
    "DEQUANTIZE": dequantize,
    "LOGISTIC": logistic,
    "MAX_POOL_2D": max_pool,
    "PAD": pad,
    "QUANTIZE": quantize,
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
}
"""TFLite's name of an operator -> what appends its ONNX nodes."""
