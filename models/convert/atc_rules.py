"""What CANN 5.0.4 to 6.0 documents as unsupported: our own checker, so that a graph that ATC would refuse is refused on any PC.

`RULES` is the table; each names the page of Huawei's documentation that it comes from. What the pages leave open is not asked for, with
one exception that goes the other way: "Conv" says that `group` must be 1, and also that the channels must be divisible by it; CANN's
published ONNX parser passes it on, and Huawei's own model zoo converts depthwise networks (MobileNet) for Ascend310, so only the second
is a rule here. TopK and NonMaxSuppression are on the list; int64 inputs are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poselift.common.arrays import Array
from poselift.models.convert import OPSET
from poselift.models.convert.atc_graph import inferred, shape_of

LIST = "CANN 5.0.4, 'Supported ONNX Operators' (支持ONNX算子清单)"
OPSETS = "ATC 5.0.4, 'ONNX Operator Specifications' (ONNX算子规格): opset 9 to 13"
GENERAL = "ATC, 'Command-Line Options', general restrictions"
STATIC = "MindStudio 5.0, 'Model Conversion', restrictions"
FORMAT = "ATC 5.0.4, '--input_format'"
OUTPUTS = "ATC 6.0.1, '--out_nodes' and '--output_type'"
PARSER = "CANN's published ONNX parser (onnx_parser.cc, resize_plugin.cc)"

LISTED = frozenset(
    """Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift Cast Ceil Clip Compress Concat
    Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace Det Div Dropout Elu Equal Erf Exp Expand EyeLike Flatten Floor
    Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater HardSigmoid Hardmax Identity If
    InstanceNormalization LRN LSTM LeakyRelu Less Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool MaxRoiPool Mean
    MeanVarianceNormalization Min Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow RandomNormalLike
    RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round ScatterElements ScatterND Selu Shape Shrink
    Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh TfIdfVectorizer
    ThresholdedRelu Tile TopK Transpose Unsqueeze Where Xor""".split()  # noqa: SIM905
)
"""The operators that `LIST` has for opset 11."""

FLOATS = ("float16", "float32")
DTYPES: Mapping[str, Sequence[str]] = {
    "Add": (*FLOATS, "float64", "int8", "int16", "int32", "int64", "uint8"),
    "Clip": (*FLOATS, "int32"),
    "Concat": (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "Conv": FLOATS,
    "ConvTranspose": FLOATS,
    "DepthToSpace": (*FLOATS, "float64", "int32", "int64"),
    "Exp": FLOATS,
    "Greater": (*FLOATS, "int8", "int32", "uint8"),
    "Identity": FLOATS,
    "Less": (*FLOATS, "int8", "int32", "uint8"),
    "MaxPool": FLOATS,
    "Relu": (*FLOATS, "int8", "int16", "int32", "uint8", "uint16"),
    "Resize": FLOATS,
    "Sigmoid": FLOATS,
    "Slice": (*FLOATS, "int8", "int32", "uint8", "bool"),
    "Transpose": (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "Where": (*FLOATS, "int8", "int32", "uint8"),
}
"""Of the operators that pose networks are made of: what `LIST` lets their last input be (the first, where that is the data)."""
DATA_IS_LAST = ("Where",)

CONSTANTS: Mapping[str, Sequence[int]] = {
    "Clip": (1, 2),
    "Expand": (1,),
    "Pad": (1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
}
"""The inputs that set an operator up, by their places. For Expand and Resize `LIST` asks for constants; the others of ours are, too."""

WIDEST = 4096
KERNELS, STRIDES, PADS = (1, 255), (1, 63), (0, 255)


class Graph(NamedTuple):
    """A graph with all that can be told of its tensors."""

    proto: onnx.GraphProto
    opsets: Mapping[str, int]
    types: Mapping[str, Any]
    constants: Mapping[str, Array]

    def shape(self, name: str) -> tuple[int, ...]:
        """Its sizes; (-1,) where nothing is known."""
        return shape_of(self.types[name]) if name in self.types else (-1,)

    def dtype(self, name: str) -> str:
        """Such as 'float32'."""
        return _dtype(self.types[name].elem_type) if name in self.types else "unknown"


class Rule(NamedTuple):
    """One thing that CANN does not take."""

    page: str
    broken: Callable[[Graph], Iterator[str]]
    """What breaks it: where it is, and with what value."""


def complaints(model: onnx.ModelProto) -> list[str]:
    """One line for everything in `model` that CANN does not take, with the node and the page that says so."""
    constants = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    graph = Graph(model.graph, opsets, inferred(model), constants)
    return [f"{what} [{rule.page}]" for rule in RULES for what in rule.broken(graph)]


# The model


def _opset(graph: Graph) -> Iterator[str]:
    others = {domain: version for domain, version in graph.opsets.items() if domain not in ("", "ai.onnx")}
    version = graph.opsets.get("", graph.opsets.get("ai.onnx", 0))
    if version != OPSET:
        yield f"the graph is of opset {version}; opset {OPSET} is what every CANN takes"
    for domain in others:
        yield f"the graph uses operators of '{domain}'; CANN takes ONNX's own alone"


def _inputs(graph: Graph) -> Iterator[str]:
    for value in graph.proto.input:
        dtype = _dtype(value.type.tensor_type.elem_type)
        if dtype not in FLOATS:
            yield f"input '{value.name}' is {dtype}; float32 or float16 is needed"


def _input_ranks(graph: Graph) -> Iterator[str]:
    for value in graph.proto.input:
        rank = len(value.type.tensor_type.shape.dim)
        if not 1 <= rank <= 4:
            yield f"input '{value.name}' has {rank} axes; ND means 1 to 4"


def _outputs(graph: Graph) -> Iterator[str]:
    for value in graph.proto.output:
        dtype = _dtype(value.type.tensor_type.elem_type)
        if dtype not in FLOATS:
            yield f"output '{value.name}' is {dtype}; float32 or float16 is needed"
        node = next((node for node in graph.proto.node if value.name in node.output), None)
        if node is None or node.name != value.name or node.output[0] != value.name:
            yield f"output '{value.name}' is not output 0 of a node of its name, so CANN would call it something else"


def _names(graph: Graph) -> Iterator[str]:
    taken = {value.name for value in graph.proto.input}
    for node in graph.proto.node:
        if not node.name or node.name in taken:
            yield f"node '{node.name}' ({node.op_type}) needs a name of its own"
        taken.add(node.name)


def _static(graph: Graph) -> Iterator[str]:
    for value in graph.proto.input:
        shape = shape_of(value.type.tensor_type)
        if min(shape, default=1) < 1:
            yield f"input '{value.name}' is {_sizes(shape)}; every axis needs a size"
    for node in graph.proto.node:
        for name in node.output:
            shape = graph.shape(name)
            if min(shape, default=1) < 1:
                yield f"node '{node.name}' ({node.op_type}) gives {_sizes(shape)}; every axis needs a size"


# Every node


def _listed(graph: Graph) -> Iterator[str]:
    for node in graph.proto.node:
        if node.op_type not in LISTED:
            yield f"node '{node.name}': the operator {node.op_type} is not on CANN's list for opset {OPSET}"


def _dtypes(graph: Graph) -> Iterator[str]:
    for node in graph.proto.node:
        dtype = graph.dtype(node.input[-1 if node.op_type in DATA_IS_LAST else 0]) if node.op_type in DTYPES else ""
        if dtype and dtype not in DTYPES[node.op_type]:
            yield f"{_node(node)} takes {dtype}; {', '.join(DTYPES[node.op_type])} are possible"


def _constants(graph: Graph) -> Iterator[str]:
    for node in graph.proto.node:
        for place in CONSTANTS.get(node.op_type, ()):
            if place < len(node.input) and node.input[place] and node.input[place] not in graph.constants:
                yield f"{_node(node)}: its input {place} is computed; it must be constant"


# Single operators


def _conv(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "Conv"):
        image, kernel, result = (graph.shape(name) for name in (node.input[0], node.input[1], node.output[0]))
        if not len(image) == len(kernel) == len(result) == 4:
            yield f"{_node(node)} takes {_sizes(image)}; four axes are needed"
            continue
        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            yield f"{_node(node)}: auto_pad is {attributes['auto_pad'].decode()}; NOTSET or VALID is needed"
        for what, values, (least, greatest) in (
            ("kernel", kernel[2:], KERNELS),
            ("dilations", attributes.get("dilations", [1, 1]), KERNELS),
            ("strides", attributes.get("strides", [1, 1]), STRIDES),
            ("pads", attributes.get("pads", [0] * 4), PADS),
        ):
            if not all(least <= value <= greatest for value in values):
                yield f"{_node(node)}: {what} {_sizes(values)}; {least} to {greatest} are possible"
        if image[3] > WIDEST:
            yield f"{_node(node)} takes a picture {image[3]} wide; {WIDEST} is the most"
        groups = attributes.get("group", 1)
        if image[1] % groups or result[1] % groups:
            yield f"{_node(node)}: {image[1]} channels to {result[1]} in {groups} groups; both must be divisible"
        if result[3] == 1 and result[2] != 1:
            yield f"{_node(node)} gives a picture 1 wide and {result[2]} high; 1 wide is possible where it is 1 high"
        if result[2:] == (1, 1) and image[2:] != kernel[2:]:
            yield f"{_node(node)} gives one pixel of {_sizes(image[2:])}; its kernel {_sizes(kernel[2:])} must be as large"


def _conv_transpose(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "ConvTranspose"):
        if len(graph.shape(node.input[0])) != 4:
            yield f"{_node(node)} takes {_sizes(graph.shape(node.input[0]))}; four axes are needed"
        if any(dilation != 1 for dilation in attributes.get("dilations", [])):
            yield f"{_node(node)}: dilations {_sizes(attributes['dilations'])}; only 1 is possible"
        if attributes.get("auto_pad", b"").startswith(b"SAME"):
            yield f"{_node(node)}: auto_pad is {attributes['auto_pad'].decode()}; NOTSET or VALID is needed"


def _max_pool(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "MaxPool"):
        width = graph.shape(node.input[0])[-1]
        if width > WIDEST:
            yield f"{_node(node)} takes a picture {width} wide; {WIDEST} is the most"
        if any(dilation != 1 for dilation in attributes.get("dilations", [])):
            yield f"{_node(node)}: dilations {_sizes(attributes['dilations'])} are not possible"
        if attributes.get("storage_order", 0):
            yield f"{_node(node)}: storage_order is not possible"


def _resize(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "Resize"):
        mode = attributes.get("mode", b"nearest").decode()
        if mode not in ("nearest", "linear"):
            yield f"{_node(node)}: mode {mode}; nearest and linear are possible"


def _resize_grid(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "Resize"):
        grid = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
        if grid not in ("pytorch_half_pixel", "align_corners", "asymmetric"):
            yield f"{_node(node)}: {grid} is taken for asymmetric; pytorch_half_pixel, align_corners and asymmetric are possible"


def _slice(graph: Graph) -> Iterator[str]:
    for node, _ in _nodes(graph, "Slice"):
        rank = len(graph.shape(node.input[0]))
        if rank < 2:
            yield f"{_node(node)} takes one axis; two are the least"
        if len(node.input) < 5 or not {node.input[3], node.input[4]} <= {*graph.constants}:
            continue
        for axis, step in zip(graph.constants[node.input[3]].tolist(), graph.constants[node.input[4]].tolist()):
            if axis % rank == rank - 1 and step != 1:
                yield f"{_node(node)}: a step of {step} along the last axis; only 1 is possible"


def _pad(graph: Graph) -> Iterator[str]:
    for node, attributes in _nodes(graph, "Pad"):
        value = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if attributes.get("mode", b"constant") == b"constant" and value is not None and np.any(value != 0):
            yield f"{_node(node)} pads with {float(value):g}; only 0 is possible"


def _gather(graph: Graph) -> Iterator[str]:
    for node, _ in _nodes(graph, "Gather"):
        indices = graph.constants.get(node.input[1])
        lowest = 0 if indices is None else int(indices.astype(np.int64).min(initial=0))
        if lowest < 0:
            yield f"{_node(node)}: index {lowest}; negative ones are not possible"


RULES: Sequence[Rule] = (
    Rule(OPSETS, _opset),
    Rule(GENERAL, _inputs),
    Rule(FORMAT, _input_ranks),
    Rule(OUTPUTS, _outputs),
    Rule(PARSER, _names),
    Rule(STATIC, _static),
    Rule(LIST, _listed),
    Rule(LIST, _dtypes),
    Rule(LIST, _constants),
    Rule(f"{LIST}, Conv", _conv),
    Rule(f"{LIST}, ConvTranspose", _conv_transpose),
    Rule(f"{LIST}, MaxPool", _max_pool),
    Rule(f"{LIST}, Resize", _resize),
    Rule(PARSER, _resize_grid),
    Rule(f"{LIST}, Slice", _slice),
    Rule(f"{LIST}, Pad", _pad),
    Rule(f"{LIST}, Gather", _gather),
)


def _nodes(graph: Graph, kind: str) -> Iterator[tuple[onnx.NodeProto, dict[str, Any]]]:
    for node in graph.proto.node:
        if node.op_type == kind:
            yield node, {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _node(node: onnx.NodeProto) -> str:
    return f"node '{node.name}' ({node.op_type})"


def _sizes(values: Iterable[int]) -> str:
    return "[" + ", ".join("?" if value < 0 else str(value) for value in values) + "]"


def _dtype(elem_type: int) -> str:
    return str(np.dtype(helper.tensor_dtype_to_np_dtype(elem_type))) if elem_type != TensorProto.UNDEFINED else "unknown"
