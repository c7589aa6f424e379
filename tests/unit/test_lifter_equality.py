"""The stateful graph gives, on every frame from the first, what the windowed network gives on edge-padded input."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from random_lifter import random_lifter, spread_for_judge, weights_for_judge
from temporal_judge import judge, judge_sigma

from models.backend import open_model
from models.convert.lifter import build
from models.errors import ModelError
from models.stateful import StatefulNetwork
from models.temporal import convolve, lift_sequence, receptive_field

TOLERANCE = 1e-5
FEATURES, OUTPUTS = 20, 51


def random_weights(widths, channels, linear=True, spread=False):
    return random_lifter(widths, channels, FEATURES, OUTPUTS, linear, spread)


def random_run(frames, people, seed=1):
    """Columns [T, N, F], and resets [T, N]: all at the first frame, then each person's own, one of them twice in a row."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(frames, people, FEATURES)).astype(np.float32)
    resets = np.zeros((frames, people), bool)
    resets[0] = True
    for person in range(people):
        resets[rng.integers(1, frames, size=person % 3), person] = True
    resets[frames // 2 : frames // 2 + 2, -1] = True
    return columns, resets


def judged(weights, columns, resets):
    """The judge's poses [T, N, D]."""
    return by_stretches(lambda stretch: judge(*weights_for_judge(weights), stretch), columns, resets)


def judged_sigma(weights, columns, resets):
    """The judge's standard deviations [T, N, D]."""
    return by_stretches(lambda stretch: judge_sigma(*spread_for_judge(weights), stretch), columns, resets)


def by_stretches(judge_stretch, columns, resets):
    """Every stretch between two resets is a sequence of its own."""
    outputs = np.zeros((*resets.shape, OUTPUTS))
    for person in range(resets.shape[1]):
        starts = np.flatnonzero(resets[:, person])
        for start, stop in zip(starts, [*starts[1:], len(resets)]):
            outputs[start:stop, person] = judge_stretch(columns[start:stop, person])
    return outputs


def stepped(graph, columns, resets, folder, output="pose"):
    """The graph's poses [T, N, D], or another output; whatever it finds in its state at the start is NaN."""
    onnx.save(graph, folder / "lifter.onnx")
    model = open_model(folder / "lifter.onnx")
    people = resets.shape[1]
    state = {tensor.name: np.full((people, *tensor.shape[1:]), np.nan, np.float32) for tensor in model.inputs[2:]}
    found = []
    for column, reset in zip(columns, resets):
        outputs = model.run({"features": column, "reset": reset, **state})
        state = {name: outputs[f"next_{name}"] for name in state}
        found.append(outputs[output])
    model.close()
    return np.array(found)


@pytest.mark.parametrize(
    ("widths", "channels", "people"),
    [
        ((3, 3), 64, 4),
        ((3, 3), 512, 1),
        ((3, 3, 3), 64, 3),
        ((3, 3, 3), 512, 2),
        ((3, 3, 3, 3), 128, 4),
        ((3, 3, 3, 3), 512, 1),
        ((3, 3, 3, 3, 3), 64, 2),
        ((3, 3, 3, 3, 3), 256, 1),
        ((5, 3), 64, 2),
        ((3, 1, 5), 64, 2),
        ((3, 3, 1, 1), 64, 2),
    ],
)
@pytest.mark.parametrize("linear", [True, False])
def test_equals_the_judge(widths, channels, people, linear, tmp_path):
    weights = random_weights(widths, channels, linear)
    columns, resets = random_run(min(2 * receptive_field(weights), 300) + 7, people)
    poses = stepped(build(weights, {}), columns, resets, tmp_path)
    expected = judged(weights, columns, resets)
    assert np.abs(poses - expected).max() < TOLERANCE
    assert 0.3 < expected.std() < 3  # else the tolerance would mean little


def test_whole_sequence_and_window_equal_the_judge():
    weights = random_weights((3, 3, 3), 64)
    columns, resets = random_run(60, 1)
    resets[1:] = False
    expected = judged(weights, columns, resets)[:, 0]
    padded = np.concatenate([np.repeat(columns[:1, 0], 26, axis=0), columns[:, 0]])
    windows = np.concatenate([convolve(weights, padded[frame : frame + 27]).pose for frame in range(60)])
    assert np.abs(lift_sequence(weights, columns[:, 0]).pose - expected).max() < TOLERANCE
    assert np.abs(windows - expected).max() < TOLERANCE


@pytest.mark.parametrize("louder", [1, 100])
def test_all_forms_tell_the_judge_s_standard_deviations(louder, tmp_path):
    """Also where the logarithms leave the range in which they are kept."""
    weights = random_weights((3, 3, 1), 64, spread=True)
    weights = weights._replace(spread_weight=louder * weights.spread_weight)
    columns, resets = random_run(40, 2)
    expected = judged_sigma(weights, columns, resets)
    assert (expected.max() > 54) == (louder > 1) == (expected.min() < 4e-4)
    np.testing.assert_allclose(stepped(build(weights, {}), columns, resets, tmp_path, "sigma"), expected, rtol=TOLERANCE * louder)
    np.testing.assert_allclose(stepped(build(weights, {}), columns, resets, tmp_path), judged(weights, columns, resets), atol=TOLERANCE)
    resets[1:] = False
    sequence = lift_sequence(weights, columns[:, 0])
    np.testing.assert_allclose(sequence.sigma, judged_sigma(weights, columns, resets)[:, 0], rtol=TOLERANCE * louder)


def test_a_network_that_tells_no_standard_deviations_gives_none(tmp_path):
    weights = random_weights((3, 3), 64)
    onnx.save(build(weights, {}), tmp_path / "lifter.onnx")
    network = StatefulNetwork(open_model(tmp_path / "lifter.onnx"), 1)
    assert network.commit(np.zeros((1, FEATURES), np.float32), np.array([True])).sigma is None
    assert convolve(weights, np.zeros((9, FEATURES), np.float32)).sigma is None


def test_garbage_before_a_reset_is_forgotten_and_stays_with_its_person(tmp_path):
    weights = random_weights((3, 3, 3), 64)
    columns, resets = random_run(60, 2)
    resets[1:] = False
    resets[20, 0] = True
    expected = judged(weights, columns, resets)
    columns[5:20, 0] = np.nan
    poses = stepped(build(weights, {}), columns, resets, tmp_path)
    assert np.isnan(poses[5:20, 0]).all()
    assert np.abs(poses[20:, 0] - expected[20:, 0]).max() < TOLERANCE
    assert np.abs(poses[:, 1] - expected[:, 1]).max() < TOLERANCE


def slices(graph):
    """The first column and the end of every Slice, as the graph's constants."""
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Slice":
            yield constants[node.input[1]], constants[node.input[2]]


def move(constant, columns):
    moved = numpy_helper.to_array(constant) + columns
    constant.CopyFrom(numpy_helper.from_array(moved, constant.name))


TAPS = [(layer, tap) for layer in range(3) for tap in range(2)]


@pytest.mark.parametrize(("layer", "tap"), TAPS)
def test_the_judge_notices_a_tap_moved_by_one_column(layer, tap, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    start, stop = list(slices(graph))[3 * layer + 1 + tap]  # of each layer: the state that moves on, then two taps
    step = -1 if tap else 1
    assert numpy_helper.to_array(stop) - numpy_helper.to_array(start) == 1
    assert numpy_helper.to_array(start) == tap * 3**layer
    move(start, step)
    move(stop, step)
    columns, resets = random_run(60, 2)
    assert np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets)).max() > 100 * TOLERANCE


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_a_layer_that_is_not_reset(layer, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    selection = [node for node in graph.graph.node if node.op_type == "Where"][layer]
    selection.input[1] = selection.input[2]
    columns, resets = random_run(60, 2)
    difference = np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets))
    assert not difference.max() < 100 * TOLERANCE  # NaN, from the state it should have forgotten


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_a_past_that_is_multiplied_away(layer, tmp_path):
    """Zeros instead of the first column: what a mask on the state would give at best."""
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1, 1), np.float32), "nothing"))
    [node for node in graph.graph.node if node.op_type == "Where"][layer].input[1] = "nothing"
    columns, resets = random_run(60, 2)
    assert np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets)).max() > 100 * TOLERANCE


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_taps_in_the_wrong_order(layer, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    turned = list(weights.blocks)
    if layer:
        turned[layer - 1] = turned[layer - 1]._replace(conv_weight=turned[layer - 1].conv_weight[::-1])
        wrong = weights._replace(blocks=tuple(turned))
    else:
        wrong = weights._replace(expand_weight=weights.expand_weight[::-1])
    columns, resets = random_run(60, 1)
    assert np.abs(stepped(build(wrong, {}), columns, resets, tmp_path) - judged(weights, columns, resets)).max() > 100 * TOLERANCE


def test_the_graph_holds_to_what_every_backend_runs():
    graph = build(random_weights((3, 3, 3), 64), {"rate_hz": "30", "receptive_field": "wrong"})
    assert {node.op_type for node in graph.graph.node} <= {"MatMul", "Slice", "Concat", "Where", "Relu", "Add", "Reshape"}
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 11)]
    assert {entry.key: entry.value for entry in graph.metadata_props} == {"rate_hz": "30", "receptive_field": "27"}


def test_a_fixed_number_of_slots_is_static_and_equal(tmp_path):
    weights = random_weights((3, 3), 64)
    graph = build(weights, {}, slots=3)
    columns, resets = random_run(30, 3)
    assert np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets)).max() < TOLERANCE
    model = open_model(tmp_path / "lifter.onnx")
    assert all(tensor.shape[0] == 3 for tensor in (*model.inputs, *model.outputs))
    with pytest.raises(ModelError, match="built for 3 people, not 2"):
        StatefulNetwork(model, 2)


def test_a_peek_leaves_the_state_bit_for_bit(tmp_path):
    weights = random_weights((3, 3, 3), 64)
    onnx.save(build(weights, {}), tmp_path / "lifter.onnx")
    model = open_model(tmp_path / "lifter.onnx")
    looked, straight = StatefulNetwork(model, 2), StatefulNetwork(model, 2)
    columns, resets = random_run(50, 2)
    for column, reset in zip(columns, resets):
        looked.peek(np.full_like(column, np.nan), np.array([True, False]))
        seen = looked.peek(column, reset)
        kept = looked.commit(column, reset)
        np.testing.assert_array_equal(seen.pose, kept.pose)
        np.testing.assert_array_equal(kept.pose, straight.commit(column, reset).pose)


def test_another_network_is_no_lifter(tmp_path):
    graph = build(random_weights((3, 3), 64), {})
    assert graph.graph.node[-1].output[0] == "pose"
    graph.graph.node[-1].output[0] = graph.graph.output[0].name = "something"
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="a stateful lifter takes features, reset, state_"):
        StatefulNetwork(open_model(tmp_path / "other.onnx"), 1)
