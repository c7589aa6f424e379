"""A temporal network as graphs that know no state: a pose from a whole window of columns, anew for every frame.

The rivals of `models/convert/lifter.py`. Their convolutions go along one axis or lie in a picture of one line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from poselift.common.arrays import Floats
from poselift.models.convert import IR_VERSION, OPSET
from poselift.models.lifting.temporal import TemporalWeights, dilations, receptive_field

Integers = npt.NDArray[np.int64]


def strided(weights: TemporalWeights, axes: int) -> onnx.ModelProto:
    """VideoPose3D's form for one output a window: each layer computes only what the next one reads, 243, 81, 27, 9, 3, 1 columns.

    Input `window` float32 [1, F, field] where `axes` is 1, as PyTorch exports it, and [1, F, 1, field] where it is 2: a picture
    of one line, for which ONNX Runtime has faster code. Output `pose` float32 [1, D, 1] or [1, D, 1, 1].
    """
    return _Window(weights, axes, strided=True).model()


def dilated(weights: TemporalWeights, axes: int) -> onnx.ModelProto:
    """Every layer over all its columns, as in training; inputs and outputs as those of `strided`."""
    return _Window(weights, axes, strided=False).model()


class _Window:
    def __init__(self, weights: TemporalWeights, axes: int, strided: bool) -> None:
        self._ahead = [1] * (axes - 1)
        self._strided = strided
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        features, outputs = weights.expand_weight.shape[1], weights.shrink_weight.shape[1]
        self._input = helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, features, *self._ahead, receptive_field(weights)])
        self._output = helper.make_tensor_value_info("pose", TensorProto.FLOAT, [1, outputs, *self._ahead, 1])

        first, *others = dilations(weights)
        hidden = self._layer("window", weights.expand_weight, weights.expand_bias, first)
        for block, dilation in zip(weights.blocks, others):
            width = len(block.conv_weight)
            mixed = self._layer(hidden, block.conv_weight, block.conv_bias, dilation)
            mixed = self._layer(mixed, block.mix_weight[None], block.mix_bias)
            start, step = (width - 1, width) if strided else ((width - 1) * dilation, 1)
            residual = self._add("Slice", hidden, *map(self._constant, _cut(start, step, axis=1 + axes)))
            hidden = self._add("Add", mixed, residual)
        self._convolution(hidden, weights.shrink_weight[None], weights.shrink_bias, into="pose")

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, "window", [self._input], [self._output], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model

    def _layer(self, columns: str, weight: Floats, bias: Floats, dilation: int = 1) -> str:
        return self._add("Relu", self._convolution(columns, weight, bias, dilation))

    def _convolution(self, columns: str, weight: Floats, bias: Floats, dilation: int = 1, into: str = "") -> str:
        width, channels, outputs = weight.shape
        kernel = weight.transpose(2, 1, 0).reshape(outputs, channels, *self._ahead, width)
        stride, spread = (width, 1) if self._strided else (1, dilation)
        return self._add(
            "Conv",
            columns,
            self._constant(kernel),
            self._constant(bias),
            into=into,
            kernel_shape=[*self._ahead, width],
            strides=[*self._ahead, stride],
            dilations=[*self._ahead, spread],
        )

    def _constant(self, values: Floats | Integers) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, kind: str, *inputs: str, into: str = "", **attributes: list[int]) -> str:
        name = into or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name


def _cut(start: int, step: int, axis: int) -> list[Integers]:
    """Slice's start, stop, axis and step: to the end."""
    return [np.array([number], np.int64) for number in (start, np.iinfo(np.int64).max, axis, step)]
