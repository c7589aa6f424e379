"""Weights of the causal network -> the ONNX graph that takes one column at a time and carries every layer's past as state.

A convolution of width w and dilation d needs its input's newest column and (w - 1) * d before it: these are its state.
Where `reset` is set, the new column stands in for all of them, as if it had been there for ever. So the poses are exactly
those of the windowed network on input that is padded with its first column. The past is selected, never multiplied away:
what lies in a vacant slot may be NaN. For ONNX Runtime and for Ascend's ATC: opset 11, static shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.backend import Array
from models.temporal import SPREAD_LIMITS, Floats, TemporalWeights, dilations, receptive_field

OPSET = 11
IR_VERSION = 6


def build(weights: TemporalWeights, metadata: Mapping[str, str], slots: int | None = None) -> onnx.ModelProto:
    """The stateful graph of `weights` for `slots` people (None: as many as it is run with).

    Inputs: `features` float32 [N, F], the newest column of every slot; `reset` bool [N], true where a slot's history
    starts with this column; `state_i` float32 [N, (width - 1) * dilation, channels], one per layer with taps, oldest
    column first. Outputs: `pose` float32 [N, D]; `sigma` float32 [N, D], the standard deviations, where the weights
    tell them; `next_state_i`, to be given back as `state_i`. Beside `metadata` the file says its own `receptive_field`,
    in columns.
    """
    graph = _Graph(slots)
    first, *block_dilations = dilations(weights)
    column = graph.input("features", [weights.expand_weight.shape[1]])
    started = graph.reshape(graph.input("reset", [], TensorProto.BOOL), [1, 1])
    pose = graph.output("pose", [weights.shrink_weight.shape[1]])

    inputs = _taps(graph, column, weights.expand_weight, first, started)
    hidden = graph.relu(graph.linear(inputs, _stacked(weights.expand_weight), weights.expand_bias))
    for block, dilation in zip(weights.blocks, block_dilations):
        taps = _taps(graph, hidden, block.conv_weight, dilation, started)
        mixed = graph.relu(graph.linear(taps, _stacked(block.conv_weight), block.conv_bias))
        mixed = graph.relu(graph.linear(mixed, block.mix_weight, block.mix_bias))
        hidden = graph.add("Add", hidden, mixed)
    if weights.spread_weight is not None and weights.spread_bias is not None:
        sigma = graph.output("sigma", [weights.spread_weight.shape[1]])
        graph.add("Exp", graph.clip(graph.linear(hidden, weights.spread_weight, weights.spread_bias), *SPREAD_LIMITS), into=sigma)
    shrink_weight = weights.shrink_weight
    if weights.linear_weight is not None:
        hidden = graph.add("Concat", hidden, inputs, axis=1)
        shrink_weight = np.concatenate([shrink_weight, _stacked(weights.linear_weight)])
    graph.linear(hidden, shrink_weight, weights.shrink_bias, into=pose)
    return graph.model({**metadata, "receptive_field": str(receptive_field(weights))})


def _taps(graph: _Graph, column: str, weight: Floats, dilation: int, started: str) -> str:
    """All taps of a layer side by side [N, width * channels], oldest first; the layer's state is moved on by one column."""
    width, channels, _ = weight.shape
    if width == 1:
        return column
    length = (width - 1) * dilation
    index = graph.layers()
    newest = graph.reshape(column, [1, channels])
    past = graph.add("Where", started, newest, graph.input(f"state_{index}", [length, channels]))
    moved = graph.output(f"next_state_{index}", [length, channels])
    graph.add("Concat", graph.columns(past, 1, length), newest, into=moved, axis=1)
    taps = [graph.columns(past, k * dilation, k * dilation + 1) for k in range(width - 1)]
    return graph.reshape(graph.add("Concat", *taps, newest, axis=1), [width * channels])


def _stacked(weight: Floats) -> Floats:
    """[width, in, out] -> [width * in, out]: one matrix product for all taps."""
    return weight.reshape(-1, weight.shape[-1])


class _Graph:
    """An ONNX graph that is being written; tensors are known by their names."""

    def __init__(self, slots: int | None) -> None:
        self._slots = slots
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def layers(self) -> int:
        """How many layers have their state by now."""
        return sum(value.name.startswith("state_") for value in self._inputs)

    def input(self, name: str, shape: list[int], kind: int = TensorProto.FLOAT) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, [self._slots or "N", *shape]))
        return name

    def output(self, name: str, shape: list[int]) -> str:
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [self._slots or "N", *shape]))
        return name

    def constant(self, value: Array) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, into: str = "", **attributes: int) -> str:
        name = into or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def reshape(self, tensor: str, shape: list[int]) -> str:
        return self.add("Reshape", tensor, self.constant(np.array([self._slots or -1, *shape], np.int64)))

    def columns(self, tensor: str, start: int, stop: int) -> str:
        start_stop_axis = (self.constant(np.array([number], np.int64)) for number in (start, stop, 1))
        return self.add("Slice", tensor, *start_stop_axis)

    def linear(self, tensor: str, weight: Floats, bias: Floats, into: str = "") -> str:
        return self.add("Add", self.add("MatMul", tensor, self.constant(weight)), self.constant(bias), into=into)

    def clip(self, tensor: str, least: float, greatest: float) -> str:
        return self.add("Clip", tensor, *(self.constant(np.array(limit, np.float32)) for limit in (least, greatest)))

    def relu(self, tensor: str) -> str:
        return self.add("Relu", tensor)

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, "lifter", self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="poselift")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model
