"""The graphs that ATC is given: the numbers of the graphs they were made from, with fixed sizes, float inputs and named outputs."""

import numpy as np
import onnx
import pytest
from demo_clip import pulled
from onnx import TensorProto, helper, numpy_helper
from random_lifter import random_lifter

from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.convert.atc_graph import atc_form, host_tensors, inferred, shape_of
from poselift.models.convert.atc_rules import complaints
from poselift.models.convert.lifter import build

LIFTERS = {
    "causal": lambda slots: build(random_lifter((3, 3, 3, 1), 32, 20, spread=True, contact=True), {}, slots),
    "symmetric, as VideoPose3D's": lambda slots: build(
        random_lifter((3, 3), 32, 34, linear=False, causal=False), {}, slots, as_points=True
    ),
    "of one column": lambda slots: build(random_lifter((1, 1), 32, 20), {}, slots),
    "poselift's own": lambda slots: onnx.load(pulled("lifter")),
}


def opened(graph, path):
    onnx.save(graph, path)
    return open_model(path)


def assert_ready(graph, original, rows=None):
    """All that CANN's rules ask for, and the names and shapes of the original."""
    assert complaints(graph) == []
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.graph.initializer}
    assert {*constants} <= {name for node in graph.graph.node for name in node.input}
    assert all(constants[node.input[1]].min() > 0 for node in graph.graph.node if node.op_type == "Reshape")
    types = inferred(graph)
    assert all(min(shape_of(types[name]), default=1) > 0 for node in graph.graph.node for name in node.output)
    assert {value.type.tensor_type.elem_type for value in (*graph.graph.input, *graph.graph.output)} == {TensorProto.FLOAT}
    for part in ("input", "output"):
        host, device = host_tensors(getattr(original.graph, part), rows), host_tensors(getattr(graph.graph, part))
        assert [(tensor.name, tensor.shape) for tensor in host] == [(tensor.name, tensor.shape) for tensor in device]
    for output in graph.graph.output:
        assert [node.output[0] for node in graph.graph.node if node.name == output.name] == [output.name]


@pytest.mark.parametrize("kind", LIFTERS)
@pytest.mark.parametrize("rows", [1, 4])
def test_a_lifter_gives_the_same_poses_and_states_over_a_stream_with_resets(kind, rows, tmp_path):
    original = LIFTERS[kind](None)
    graph = atc_form(original, rows)
    assert_ready(graph, original, rows)
    assert steps(graph) <= {1}
    before, after = opened(original, tmp_path / "before.onnx"), opened(graph, tmp_path / "after.onnx")
    rng = np.random.default_rng(0)
    states = {tensor.name: np.full(tensor.shape, np.nan, np.float32) for tensor in after.inputs if tensor.name.startswith("state_")}
    resets = rng.random((60, rows)) < 0.1
    resets[0] = True
    columns = next(tensor for tensor in after.inputs if tensor.name in ("features", "keypoints"))
    for reset in resets:
        inputs = {columns.name: rng.normal(size=columns.shape).astype(np.float32), **states}
        expected, found = before.run({**inputs, "reset": reset}), after.run({**inputs, "reset": reset.astype(np.float32)})
        assert expected.keys() == found.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
        states = {name: found[f"next_{name}"] for name in states}
    assert np.isfinite(found["pose"]).all()


def subnormal(graph):
    """How many of the first convolution's weights are subnormal in half precision."""
    weights = {constant.name: numpy_helper.to_array(constant) for constant in graph.graph.initializer}
    first = next(node for node in graph.graph.node if node.op_type == "Conv")
    halves = np.abs(weights[first.input[1]]).astype(np.float16)
    return int(((halves < np.finfo(np.float16).tiny) & (weights[first.input[1]] != 0)).sum())


@pytest.mark.parametrize("low", [None, -127.5])
def test_weights_of_a_picture_are_scaled_without_a_change_in_any_bit(low, tmp_path):
    nodes = [helper.make_node("Cast", ["x"], ["cast"], "cast", to=TensorProto.FLOAT)]
    nodes += [helper.make_node("Add", ["cast", "low"], ["centred"], "centred")] if low else []
    nodes += [helper.make_node("Conv", ["centred" if low else "cast", "weights", "bias"], ["y"], "y", kernel_shape=[3, 3], pads=[1] * 4)]
    rng = np.random.default_rng(0)
    constants = {"weights": (rng.normal(0, 1e-3, (4, 1, 3, 3))).astype(np.float32), "bias": rng.normal(size=4).astype(np.float32)}
    constants |= {"low": np.float32(low)} if low else {}
    original = graph_of(nodes, [("x", [1, 1, 8, 8], TensorProto.UINT8)], [("y", [1, 4, 8, 8])], constants)
    graph = atc_form(original)
    assert subnormal(graph) == 0 < subnormal(original)
    picture = rng.integers(0, 256, (1, 1, 8, 8), np.uint8)
    expected = opened(original, tmp_path / "before.onnx").run({"x": picture})["y"]
    np.testing.assert_array_equal(opened(graph, tmp_path / "after.onnx").run({"x": picture.astype(np.float32)})["y"], expected)


@pytest.mark.parametrize(("start", "end", "step"), [(1, 19, 9), (1, 99, 3), (0, 19, 1), (-1, -20, -4)])
def test_rows_are_sliced_without_a_step(start, end, step, tmp_path):
    constants = {name: np.array([value]) for name, value in {"start": start, "end": end, "axis": 1, "step": step}.items()}
    node = helper.make_node("Slice", ["x", *constants], ["y"], "y")
    values = np.random.default_rng(0).normal(size=(2, 19, 5)).astype(np.float32)
    expected = values[:, start:end:step]
    original = graph_of([node], [("x", values.shape)], [("y", expected.shape)], constants)
    graph = atc_form(original)
    assert_ready(graph, original)
    assert steps(graph) <= {1}
    np.testing.assert_array_equal(opened(graph, tmp_path / "graph.onnx").run({"x": values})["y"], expected)


def steps(graph):
    """All that the graph's Slices have."""
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.graph.initializer}
    slices = (node for node in graph.graph.node if node.op_type == "Slice")
    return {int(step) for node in slices for step in (constants[node.input[4]] if len(node.input) > 4 else [1])}


@pytest.mark.parametrize("name", ["blazepose_detector", "blazepose_landmarks"])
def test_a_picture_network_gives_the_same_numbers(name, tmp_path):
    original = onnx.load(pulled(name))
    graph = atc_form(original)
    assert_ready(graph, original)
    assert not {"Cast", "Identity"} & {node.op_type for node in graph.graph.node}
    assert subnormal(graph) == 0 < subnormal(original)
    before, after = open_model(pulled(name)), opened(graph, tmp_path / "after.onnx")
    picture = np.random.default_rng(0).integers(0, 256, before.inputs[0].shape, np.uint8)
    expected, found = before.run({"picture": picture}), after.run({"picture": picture.astype(np.float32)})
    for output, values in expected.items():
        np.testing.assert_allclose(found[output], values, rtol=1e-5, atol=1e-4 * np.abs(values).max(), err_msg=output)


def test_the_original_stays_as_it_is():
    original = LIFTERS["causal"](None)
    before = original.SerializeToString(deterministic=True)
    atc_form(original, 2)
    assert original.SerializeToString(deterministic=True) == before


def test_a_lifter_that_was_built_for_others_is_refused():
    assert_ready(atc_form(LIFTERS["causal"](3), 3), LIFTERS["causal"](3), 3)
    with pytest.raises(ModelError, match="built for 3 rows, not 4"):
        atc_form(LIFTERS["causal"](3), 4)


def graph_of(nodes, inputs, outputs, constants=()):
    """Inputs and outputs are (name, shape) or (name, shape, type)."""
    values = [
        [helper.make_tensor_value_info(name, *(kind or [TensorProto.FLOAT]), shape) for name, shape, *kind in of]
        for of in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()]
    whole = helper.make_graph(nodes, "tiny", *values, initializers)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


@pytest.mark.parametrize("mode", [None, "half_pixel"])
@pytest.mark.parametrize("size", [(6, 10), (1, 10)])
def test_resize_says_pytorch_half_pixel_only_where_that_is_the_same(mode, size, tmp_path):
    grid = {"coordinate_transformation_mode": mode} if mode else {}
    node = helper.make_node("Resize", ["x", "none", "none", "sizes"], ["y"], "y", mode="linear", **grid)
    constants = {"none": np.zeros(0, np.float32), "sizes": np.array([1, 2, *size])}
    original = graph_of([node], [("x", [1, 2, 3, 5])], [("y", [1, 2, *size])], constants)
    graph = atc_form(original)
    said = {attribute.name: attribute.s for attribute in graph.graph.node[0].attribute}.get("coordinate_transformation_mode", b"half_pixel")
    assert said == (b"half_pixel" if size[0] == 1 else b"pytorch_half_pixel")
    picture = np.random.default_rng(0).normal(size=(1, 2, 3, 5)).astype(np.float32)
    before, after = (opened(of, tmp_path / f"{said}.onnx").run({"x": picture})["y"] for of in (original, graph))
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_an_identity_stays_where_one_tensor_is_two_outputs_or_an_input(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["inner"], "inner"),
        *(helper.make_node("Identity", [source], [name], f"node_{name}") for source, name in (("inner", "a"), ("inner", "b"), ("x", "c"))),
    ]
    original = graph_of(nodes, [("x", [2])], [("a", [2]), ("b", [2]), ("c", [2])])
    graph = atc_form(original)
    assert [(node.op_type, node.name, *node.output) for node in graph.graph.node] == [
        ("Relu", "a", "a"),
        ("Identity", "b", "b"),
        ("Identity", "c", "c"),
    ]
    assert_ready(graph, original)
    found = opened(graph, tmp_path / "graph.onnx").run({"x": np.array([-1, 2], np.float32)})
    assert {name: values.tolist() for name, values in found.items()} == {"a": [0, 2], "b": [0, 2], "c": [-1, 2]}


def test_a_picture_that_is_not_cast_is_refused():
    nodes = [helper.make_node("Reshape", ["x", "sizes"], ["rows"], "rows"), helper.make_node("Add", ["rows", "rows"], ["y"], "y")]
    graph = graph_of(nodes, [("x", [2, 3], TensorProto.UINT8)], [("y", [6], TensorProto.UINT8)], {"sizes": np.array([6])})
    with pytest.raises(ModelError, match=r"node 'y' \(Add\) reads a uint8 input"):
        atc_form(graph)
