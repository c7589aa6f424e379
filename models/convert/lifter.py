"""Weights of a temporal network -> the ONNX graph that takes one column at a time and carries every layer's past as state.

A convolution of width w and dilation d needs its input's newest column and the (w - 1) * d before it: these are its state, with
the first column of the history beside them. Where `reset` is set, the history starts with the new column, and a tap that is
older than the history is the first column, as if it had been there for ever. So the poses are exactly those of the windowed
network on input that is padded with its first column. The past is selected, never multiplied away: what lies in a vacant slot
may be NaN. A symmetric network is the same with other residuals; its pose belongs to an earlier column (`temporal.delay`).

Within the graph columns are [1, channels, 1, N]: people lie side by side like the pixels of a picture, and each matrix product is
a convolution of width 1, which ONNX Runtime computes faster than products of few rows. For ONNX Runtime and for Ascend's ATC:
opset 11, static shapes, constant slices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poselift.common.arrays import Array, Floats
from poselift.models.convert import IR_VERSION, OPSET
from poselift.models.lifting.temporal import SPREAD_LIMITS, TemporalWeights, delay, dilations, receptive_field, residual_tap


def build(weights: TemporalWeights, metadata: Mapping[str, str], slots: int | None = None, as_points: bool = False) -> onnx.ModelProto:
    """The stateful graph of `weights` for `slots` people (None: as many as it is run with).

    Inputs: `features` float32 [N, F], the newest column of every slot; `reset` bool [N], true where a slot's history
    starts with this column; `state_age` float32 [N, 1, 1], how many columns lie before it; `state_i` float32
    [N, 1 + (width - 1) * dilation, channels], one per layer i with taps: its first column, then its last ones, oldest first.
    Outputs: `pose` float32 [N, D]; where the weights tell them, `sigma` float32 [N, D], the standard deviations, and `contact`
    float32 [N, 4], the logits that heels and toes touch the floor; and `next_state_...`, to be given back as `state_...`. With
    `as_points` the graph takes and gives what VideoPose3D's networks do: `keypoints` float32 [N, F / 2, 2] instead of `features`,
    and `pose` and `sigma` [N, D / 3, 3].

    Beside `metadata` the file says its own `receptive_field` and `delay`, in columns.
    """
    graph = _Graph(slots)
    first, *block_dilations = dilations(weights)
    features, outputs = weights.expand_weight.shape[1], weights.shrink_weight.shape[1]
    column = graph.input("keypoints", [features // 2, 2]) if as_points else graph.input("features", [features])
    pose_shape = [outputs // 3, 3] if as_points else [outputs]
    history = _History(graph)

    inputs = history.taps(0, graph.reshape(column, [1, features]), weights.expand_weight, first)
    hidden = graph.relu(graph.linear(inputs, _stacked(weights.expand_weight), weights.expand_bias))
    for layer, (block, dilation) in enumerate(zip(weights.blocks, block_dilations), 1):
        width, channels, _ = block.conv_weight.shape
        taps = hidden if width == 1 else history.taps(layer, graph.rows(hidden, [1, channels]), block.conv_weight, dilation)
        residual = hidden if weights.causal else graph.cut(taps, 1, residual_tap(weights, width) * channels, channels)
        mixed = graph.relu(graph.linear(taps, _stacked(block.conv_weight), block.conv_bias))
        mixed = graph.relu(graph.linear(mixed, block.mix_weight, block.mix_bias))
        hidden = graph.add("Add", mixed, residual)
    if weights.spread_weight is not None and weights.spread_bias is not None:
        log_sigma = graph.clip(graph.linear(hidden, weights.spread_weight, weights.spread_bias), *SPREAD_LIMITS)
        graph.rows(graph.add("Exp", log_sigma), pose_shape, into=graph.output("sigma", pose_shape))
    if weights.contact_weight is not None and weights.contact_bias is not None:
        contact_shape = [len(weights.contact_bias)]
        logits = graph.linear(hidden, weights.contact_weight, weights.contact_bias)
        graph.rows(logits, contact_shape, into=graph.output("contact", contact_shape))
    shrink_weight = weights.shrink_weight
    if weights.linear_weight is not None:
        hidden = graph.add("Concat", hidden, inputs, axis=1)
        shrink_weight = np.concatenate([shrink_weight, _stacked(weights.linear_weight)])
    graph.rows(graph.linear(hidden, shrink_weight, weights.shrink_bias), pose_shape, into=graph.output("pose", pose_shape))
    return graph.model({**metadata, "receptive_field": str(receptive_field(weights)), "delay": str(delay(weights))})


class _History:
    """What the graph knows of the past: the age of every slot's history, and the columns of the layers."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._starts = graph.reshape(graph.input("reset", [], TensorProto.BOOL), [1, 1])
        older = graph.add("Add", graph.input("state_age", [1, 1]), graph.constant(np.ones((1, 1, 1), np.float32)))
        age = graph.output("next_state_age", [1, 1])
        self._age = graph.add("Where", self._starts, graph.constant(np.zeros((1, 1, 1), np.float32)), older, into=age)

    def taps(self, layer: int, newest: str, weight: Floats, dilation: int) -> str:
        """All taps of a layer one below the other [1, width * channels, 1, N], oldest first, for its `newest` column [N, 1, channels].

        Moves the layer's state on by one column.
        """
        graph = self._graph
        width, channels, _ = weight.shape
        if width == 1:
            return graph.columns(newest, channels)
        length = (width - 1) * dilation
        state = graph.input(f"state_{layer}", [1 + length, channels])
        first = graph.add("Where", self._starts, newest, graph.cut(state, 1, 0, 1))
        moved = graph.output(f"next_state_{layer}", [1 + length, channels])
        graph.add("Concat", first, graph.cut(state, 1, 2, length - 1), newest, into=moved, axis=1)
        lags = np.arange(length, 0, -dilation, dtype=np.float32)
        beyond = graph.add("Less", self._age, graph.constant(lags.reshape(1, -1, 1)))
        past = graph.add("Where", beyond, first, graph.cut(state, 1, 1, length, dilation))
        return graph.columns(graph.add("Concat", past, newest, axis=1), width * channels)


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

    def add(self, kind: str, *inputs: str, into: str = "", **attributes: int | list[int]) -> str:
        name = into or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def reshape(self, tensor: str, shape: list[int], into: str = "") -> str:
        """To [N, *shape]."""
        return self.add("Reshape", tensor, self.constant(np.array([self._slots or -1, *shape], np.int64)), into=into)

    def cut(self, tensor: str, axis: int, start: int, length: int, step: int = 1) -> str:
        start_stop_axis_step = (self.constant(np.array([number], np.int64)) for number in (start, start + length, axis, step))
        return self.add("Slice", tensor, *start_stop_axis_step)

    def columns(self, rows: str, channels: int) -> str:
        """[N, ...] -> [1, channels, 1, N]. Matrices are transposed, not tensors of four axes: ONNX Runtime has fast code for these."""
        flat = self.add("Transpose", self.reshape(rows, [channels]), perm=[1, 0])
        return self.add("Reshape", flat, self.constant(np.array([1, channels, 1, self._slots or -1], np.int64)))

    def rows(self, columns: str, shape: list[int], into: str = "") -> str:
        """[1, channels, 1, N] -> [N, *shape]."""
        flat = self.add("Reshape", columns, self.constant(np.array([math.prod(shape), self._slots or -1], np.int64)))
        return self.reshape(self.add("Transpose", flat, perm=[1, 0]), shape, into)

    def linear(self, columns: str, weight: Floats, bias: Floats) -> str:
        """The matrix product with `weight` [in, out] of every person's column."""
        return self.add("Conv", columns, self.constant(weight.T[..., None, None]), self.constant(bias), kernel_shape=[1, 1])

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
