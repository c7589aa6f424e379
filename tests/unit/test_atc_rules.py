"""What CANN does not take is refused by our own checker, each rule with the node, the value and the page; what it takes is not."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from poselift.models.convert.atc_rules import DTYPES, GENERAL, LIST, LISTED, OPSETS, OUTPUTS, PARSER, RULES, STATIC, complaints

F32, U8, I32, I64, BOOL = (getattr(TensorProto, name) for name in ("FLOAT", "UINT8", "INT32", "INT64", "BOOL"))


def tiny(kind, shapes, out, constants=(), kinds=(F32,), out_kind=F32, opset=11, domain="", name="y", **attributes):
    """A graph of one node `y` that takes inputs x0, x1... of those shapes, then the constants."""
    inputs = [f"x{place}" for place in range(len(shapes))]
    names = [f"constant_{place}" for place in range(len(constants))]
    node = helper.make_node(kind, [*inputs, *names], ["y"], name, domain=domain, **attributes)
    values = [
        helper.make_tensor_value_info(of, kinds[min(place, len(kinds) - 1)], shape) for place, (of, shape) in enumerate(zip(inputs, shapes))
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), of) for of, value in zip(names, constants)]
    graph = helper.make_graph([node], "tiny", values, [helper.make_tensor_value_info("y", out_kind, out)], initializers)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=6)


def conv(image, kernel, out, **attributes):
    return tiny("Conv", [image], out, [np.zeros(kernel, np.float32)], kernel_shape=kernel[2:], **attributes)


def resize(**attributes):
    none = np.zeros(0, np.float32)
    return tiny("Resize", [[1, 2, 3, 3]], [1, 2, 6, 6], [none, none, np.array([1, 2, 6, 6])], **attributes)


def sliced(shape, out, axis, step):
    return tiny("Slice", [shape], out, [np.array([of]) for of in (0, shape[axis], axis, step)])


GOOD = {
    "float32 input": tiny("Relu", [[2, 3]], [2, 3]),
    "four axes": tiny("Relu", [[1, 2, 3, 4]], [1, 2, 3, 4]),
    "constant sizes": tiny("Reshape", [[2, 3]], [6], [np.array([6])]),
    "one pixel of a picture as large as the kernel": conv([1, 2, 4, 4], [3, 2, 4, 4], [1, 3, 1, 1]),
    "one row": conv([1, 2, 1, 5], [3, 2, 1, 1], [1, 3, 1, 5]),
    "depthwise": conv([1, 4, 5, 5], [4, 1, 3, 3], [1, 4, 3, 3], group=4),
    "4096 wide": conv([1, 1, 1, 4096], [1, 1, 1, 1], [1, 1, 1, 4096]),
    "max pool": tiny("MaxPool", [[1, 2, 4, 4]], [1, 2, 2, 2], kernel_shape=[2, 2], strides=[2, 2]),
    "linear resize": resize(mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    "a step along an inner axis": sliced([2, 6, 3], [2, 3, 3], 1, 2),
    "zeros around": tiny("Pad", [[2, 3]], [4, 3], [np.array([1, 0, 1, 0]), np.float32(0)]),
    "gather": tiny("Gather", [[3, 2]], [1, 2], [np.array([2])]),
    "upsampling": tiny("ConvTranspose", [[1, 1, 2, 2]], [1, 1, 4, 4], [np.zeros((1, 1, 2, 2), np.float32)], strides=[2, 2]),
}

BAD = {
    "opset 9": (tiny("Relu", [[2]], [2], opset=9), "the graph is of opset 9", OPSETS),
    "opset 17": (tiny("Relu", [[2]], [2], opset=17), "the graph is of opset 17", OPSETS),
    "another domain": (tiny("Relu", [[2]], [2], domain="own"), "operators of 'own'", OPSETS),
    "int64 input": (tiny("Cast", [[2]], [2], kinds=[I64], to=F32), "input 'x0' is int64; float32 or float16 is needed", GENERAL),
    "bool input": (tiny("Cast", [[2]], [2], kinds=[BOOL], to=F32), "input 'x0' is bool", GENERAL),
    "uint8 input": (tiny("Cast", [[2]], [2], kinds=[U8], to=F32), "input 'x0' is uint8", GENERAL),
    "five axes": (tiny("Relu", [[1] * 5], [1] * 5), "input 'x0' has 5 axes", "--input_format"),
    "bool output": (tiny("Less", [[2], [2]], [2], out_kind=BOOL), "output 'y' is bool", OUTPUTS),
    "an output of another name": (tiny("Relu", [[2]], [2], name="relu"), "output 'y' is not output 0 of a node of its name", OUTPUTS),
    "no name": (tiny("Relu", [[2]], [2], name=""), "node '' (Relu) needs a name of its own", PARSER),
    "an input's name": (tiny("Relu", [[2]], [2], name="x0"), "node 'x0' (Relu) needs a name of its own", PARSER),
    "an open axis": (tiny("Relu", [["N", 2]], ["N", 2]), "input 'x0' is [?, 2]; every axis needs a size", STATIC),
    "an open axis within": (tiny("NonZero", [[2, 2]], [2, "N"], out_kind=I64), "node 'y' (NonZero) gives [2, ?]", STATIC),
    "an axis of none": (tiny("Relu", [[0, 2]], [0, 2]), "input 'x0' is [0, 2]", STATIC),
    "not on the list": (tiny("GreaterOrEqual", [[2], [2]], [2], opset=12, out_kind=BOOL), "GreaterOrEqual is not on CANN's list", LIST),
    "bool identity": (tiny("Identity", [[2]], [2], kinds=[BOOL], out_kind=BOOL), "node 'y' (Identity) takes bool", LIST),
    "bool concat": (tiny("Concat", [[2], [2]], [4], kinds=[BOOL], out_kind=BOOL, axis=0), "node 'y' (Concat) takes bool", LIST),
    "where of int64": (tiny("Where", [[2]] * 3, [2], kinds=[BOOL, I64], out_kind=I64), "node 'y' (Where) takes int64", LIST),
    "computed sizes": (tiny("Reshape", [[2, 3], [1]], [6], kinds=[F32, I64]), "node 'y' (Reshape): its input 1 is computed", LIST),
    "computed bounds": (tiny("Clip", [[2], []], [2]), "node 'y' (Clip): its input 1 is computed", LIST),
    "three axes": (conv([1, 2, 5], [3, 2, 1], [1, 3, 5]), "node 'y' (Conv) takes [1, 2, 5]; four axes", "Conv"),
    "same padding": (conv([1, 1, 4, 4], [1, 1, 3, 3], [1, 1, 4, 4], auto_pad="SAME_UPPER"), "auto_pad is SAME_UPPER", "Conv"),
    "a large kernel": (conv([1, 1, 300, 2], [1, 1, 256, 1], [1, 1, 45, 2]), "kernel [256, 1]; 1 to 255", "Conv"),
    "large strides": (conv([1, 1, 200, 200], [1, 1, 1, 1], [1, 1, 4, 4], strides=[64, 64]), "strides [64, 64]; 1 to 63", "Conv"),
    "large pads": (conv([1, 1, 4, 4], [1, 1, 1, 1], [1, 1, 516, 4], pads=[256, 0, 256, 0]), "pads [256, 0, 256, 0]; 0 to 255", "Conv"),
    "too wide": (conv([1, 1, 2, 4097], [1, 1, 1, 1], [1, 1, 2, 4097]), "a picture 4097 wide; 4096 is the most", "Conv"),
    "groups": (conv([1, 4, 4, 4], [3, 2, 1, 1], [1, 3, 4, 4], group=2), "4 channels to 3 in 2 groups", "Conv"),
    "a column": (conv([1, 2, 5, 1], [3, 2, 1, 1], [1, 3, 5, 1]), "a picture 1 wide and 5 high", "Conv"),
    "one pixel of more": (conv([1, 1, 4, 4], [1, 1, 3, 3], [1, 1, 1, 1], strides=[2, 2]), "one pixel of [4, 4]; its kernel [3, 3]", "Conv"),
    "dilated transposed": (
        tiny("ConvTranspose", [[1, 1, 2, 2]], [1, 1, 4, 4], [np.zeros((1, 1, 2, 2), np.float32)], dilations=[2, 2]),
        "dilations [2, 2]; only 1",
        "ConvTranspose",
    ),
    "dilated pool": (tiny("MaxPool", [[1, 1, 5, 5]], [1, 1, 3, 3], kernel_shape=[2, 2], dilations=[2, 2]), "dilations [2, 2]", "MaxPool"),
    "wide pool": (tiny("MaxPool", [[1, 1, 1, 5000]], [1, 1, 1, 4999], kernel_shape=[1, 2]), "a picture 5000 wide", "MaxPool"),
    "cubic": (resize(mode="cubic", coordinate_transformation_mode="asymmetric"), "mode cubic; nearest and linear", "Resize"),
    "half pixels": (resize(mode="linear", coordinate_transformation_mode="half_pixel"), "half_pixel is taken for asymmetric", PARSER),
    "half pixels unsaid": (resize(mode="linear"), "half_pixel is taken for asymmetric", PARSER),
    "one axis sliced": (sliced([6], [6], 0, 1), "node 'y' (Slice) takes one axis", "Slice"),
    "a step along the last axis": (sliced([2, 6], [2, 3], 1, 2), "a step of 2 along the last axis", "Slice"),
    "a step along the last axis, from behind": (sliced([2, 6], [2, 3], -1, 2), "a step of 2 along the last axis", "Slice"),
    "ones around": (tiny("Pad", [[2, 3]], [4, 3], [np.array([1, 0, 1, 0]), np.float32(1)]), "pads with 1; only 0", "Pad"),
    "from behind": (tiny("Gather", [[3, 2]], [1, 2], [np.array([-1])]), "index -1; negative ones are not possible", "Gather"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_cann_takes_is_not_refused(name):
    assert complaints(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_what_cann_does_not_take_is_refused_in_one_line_with_its_page(name):
    graph, what, page = BAD[name]
    found = [line for line in complaints(graph) if what in line]
    assert len(found) == 1, complaints(graph)
    assert "\n" not in found[0]
    assert page in found[0].rpartition("[")[2]


def test_every_rule_is_broken_by_one_of_these_graphs():
    lines = [line for graph, _, _ in BAD.values() for line in complaints(graph)]
    assert {rule.page for rule in RULES} <= {line.rpartition(" [")[2][:-1] for line in lines}


def test_two_nodes_of_one_name_are_refused():
    graph = tiny("Relu", [[2]], [2])
    graph.graph.node.insert(0, helper.make_node("Relu", ["x0"], ["z"], "y"))
    assert [line.rpartition(" [")[0] for line in complaints(graph)] == ["node 'y' (Relu) needs a name of its own"]


def test_the_dtypes_are_those_of_listed_operators():
    assert {*DTYPES} <= LISTED
