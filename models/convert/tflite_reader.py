"""A TFLite flatbuffer as plain Python: tensors and operators by name, constants as dense numpy arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt
import tflite

from poselift.common.errors import ModelError
from poselift.models.convert.tflite_sparse import DenseLevel, Level, SparseLevel, densify

Array = npt.NDArray[np.generic]

DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT8: np.int8,
}


class Tensor(NamedTuple):
    """One tensor: `shape` as TFLite has it (pictures are NHWC), `constant` where the file holds its values."""

    number: int
    name: str
    shape: tuple[int, ...]
    constant: Optional[Array]


class Operator(NamedTuple):
    """One step of the graph; `kind` is TFLite's name of it, `options` its table of the schema (None where it has none)."""

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: Any


class Network(NamedTuple):
    """The graph, its operators in an order in which they can run."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]


def read(flatbuffer: bytes) -> Network:
    """The network in the bytes of a .tflite file. Raises ModelError where they are none, or hold more than one subgraph."""
    if flatbuffer[4:8] != b"TFL3":
        raise ModelError(f"not a TFLite file: it starts with {flatbuffer[:8]!r}, without the mark 'TFL3'; fetch it again")
    model = tflite.Model.GetRootAsModel(flatbuffer, 0)
    if model.SubgraphsLength() != 1:
        raise ModelError(f"this TFLite file has {model.SubgraphsLength()} subgraphs; only files with one can be converted")
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(index), index) for index in range(graph.TensorsLength())]

    def pick(indices: Any) -> tuple[Tensor, ...]:
        return tuple(tensors[index] for index in indices if index >= 0)

    operators = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = _kind(model.OperatorCodes(operator.OpcodeIndex()))
        operators.append(Operator(kind, pick(operator.InputsAsNumpy()), pick(operator.OutputsAsNumpy()), _options(operator)))
    return Network(pick(graph.InputsAsNumpy()), pick(graph.OutputsAsNumpy()), tuple(operators))


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


KINDS = _names(tflite.BuiltinOperator)
OPTIONS = _names(tflite.BuiltinOptions)


def _kind(code: Any) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the schema's own rule for the code's two fields
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"custom operator '{code.CustomCode().decode()}'"
    return KINDS.get(number, f"operator {number}")


def _options(operator: Any) -> Any:
    table = operator.BuiltinOptions()
    return None if table is None else _as(getattr(tflite, OPTIONS[operator.BuiltinOptionsType()]), table)


def _as(kind: type, table: Any) -> Any:
    """A union's member: the flatbuffer holds it as a table of unknown type."""
    member = kind()
    member.Init(table.Bytes, table.Pos)
    return member


def _tensor(model: Any, tensor: Any, number: int) -> Tensor:
    name = tensor.Name().decode()
    shape = tuple(map(int, tensor.ShapeAsNumpy())) if tensor.ShapeLength() else ()
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return Tensor(number, name, shape, None)
    if tensor.Type() not in DTYPES:
        raise ModelError(f"tensor '{name}' has the element type {_names(tflite.TensorType)[tensor.Type()]}, which cannot be converted")
    values = buffer.DataAsNumpy().view(DTYPES[tensor.Type()])
    sparsity = tensor.Sparsity()
    constant = values.reshape(shape) if sparsity is None else _dense(values, shape, sparsity)
    return Tensor(number, name, shape, _real(constant, tensor.Quantization()))


def _real(values: Array, quantization: Any) -> Array:
    """The real numbers that quantized ones stand for, (value - zero point) x scale, with a scale for each channel or one for all."""
    if quantization is None or not quantization.ScaleLength():
        return values
    scale, zero = quantization.ScaleAsNumpy(), quantization.ZeroPointAsNumpy()
    along = [1] * values.ndim
    if len(scale) > 1:
        along[quantization.QuantizedDimension()] = -1
    real: Array = ((values.astype(np.float64) - zero.reshape(along)) * scale.reshape(along)).astype(np.float32)
    return real


def _dense(values: Array, shape: tuple[int, ...], sparsity: Any) -> Array:
    levels: list[Level] = []
    for index in range(sparsity.DimMetadataLength()):
        level = sparsity.DimMetadata(index)
        if level.Format() == tflite.DimensionType.DENSE:
            levels.append(DenseLevel(level.DenseSize()))
        else:
            segments = _integers(level.ArraySegmentsType(), level.ArraySegments())
            levels.append(SparseLevel(segments, _integers(level.ArrayIndicesType(), level.ArrayIndices())))
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    return densify(values, shape, levels, sparsity.TraversalOrderAsNumpy().tolist(), blocks)


def _integers(kind: int, table: Any) -> npt.NDArray[np.integer]:
    vector = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }[kind]
    integers: npt.NDArray[np.integer] = _as(vector, table).ValuesAsNumpy()
    return integers
