"""Only those channels of an output that are used: what computes the others is left out, back to the convolution that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from poselift.common.errors import ModelError
from poselift.models.convert.tflite_reader import Network, Tensor

PER_ELEMENT = ("DEQUANTIZE", "QUANTIZE", "LOGISTIC")


def prune(network: Network, channels: Mapping[str, Sequence[int]]) -> Network:
    """The network whose outputs of these names have only these of their channels, the last axis.

    Raises ModelError where the channels do not come from convolutions alone.
    """
    operators = {tensor.number: operator for operator in network.operators for tensor in operator.outputs}

    def narrow(tensor: Tensor, kept: Sequence[int]) -> Tensor:
        operator = operators[tensor.number]
        source, width = operator.inputs[0], tensor.shape[-1]
        if operator.kind in PER_ELEMENT or (
            operator.kind == "CONCATENATION" and operator.options.Axis() % len(tensor.shape) < len(tensor.shape) - 1
        ):
            inputs = tuple(narrow(each, kept) for each in operator.inputs)
        elif operator.kind == "RESHAPE" and source.shape[-1] % width == 0:
            inputs = (
                narrow(source, [first + channel for first in range(0, source.shape[-1], width) for channel in kept]),
                *operator.inputs[1:],
            )
        elif operator.kind == "CONV_2D":
            inputs = (source, *(_rows(constant, kept) for constant in operator.inputs[1:]))
        else:
            raise ModelError(f"{operator.kind} '{tensor.name}' cannot be converted for some of its channels alone")
        narrowed = tensor._replace(shape=(*tensor.shape[:-1], len(kept)))
        operators[tensor.number] = operator._replace(inputs=inputs, outputs=(narrowed,))
        return narrowed

    outputs = tuple(narrow(tensor, channels[tensor.name]) if tensor.name in channels else tensor for tensor in network.outputs)
    numbers = [operator.outputs[0].number for operator in network.operators]
    return Network(network.inputs, outputs, tuple(operators[number] for number in numbers))


def _rows(constant: Tensor, kept: Sequence[int]) -> Tensor:
    if constant.constant is None:
        raise ModelError(f"tensor '{constant.name}' is computed; only constant weights can be converted for some channels alone")
    values = constant.constant[np.array(kept)]
    return constant._replace(shape=values.shape, constant=values)
