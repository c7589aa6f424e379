"""The stateful graph gives, on every frame from the first, what the windowed network gives on edge-padded input.

That of a symmetric network gives it `delay` frames later, so what it gives first belongs to columns before the first.
"""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from random_lifter import random_lifter, spread_for_judge, weights_for_judge
from temporal_judge import judge, judge_sigma

from bench.plain_network import convolve, lift_sequence
from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.stateful import StatefulNetwork
from poselift.models.lifting.temporal import delay, receptive_field

TOLERANCE = 1e-5
FEATURES, OUTPUTS = 20, 51


def random_weights(widths, channels, linear=True, spread=False, causal=True):
    return random_lifter(widths, channels, FEATURES, OUTPUTS, linear, spread, causal)


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
    return by_stretches(lambda stretch: judge(*weights_for_judge(weights), stretch), delay(weights), columns, resets)


def judged_sigma(weights, columns, resets):
    """The judge's standard deviations [T, N, D]."""
    return by_stretches(lambda stretch: judge_sigma(*spread_for_judge(weights), stretch), delay(weights), columns, resets)


def by_stretches(judge_stretch, late, columns, resets, outputs=OUTPUTS):
    """Every stretch between two resets is a sequence of its own; the outputs come `late` frames after their columns."""
    outputs = np.zeros((*resets.shape, outputs))
    for person in range(resets.shape[1]):
        starts = np.flatnonzero(resets[:, person])
        for start, stop in zip(starts, [*starts[1:], len(resets)]):
            stretch = columns[start:stop, person]
            outputs[start:stop, person] = judge_stretch(np.concatenate([stretch[:1].repeat(late, 0), stretch]))[: len(stretch)]
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
    ("widths", "channels", "people", "frames", "linear"),
    [
        ((3, 3), 64, 4, 50, True),
        ((3, 3), 64, 4, 50, False),
        ((3, 3), 512, 1, 30, True),
        ((3, 3), 1024, 8, 10, False),
        ((3, 3, 3), 64, 3, 90, True),
        ((3, 3, 3), 512, 2, 20, False),
        ((3, 3, 3, 3), 64, 8, 200, True),
        ((3, 3, 3, 3), 256, 5, 50, False),
        ((3, 3, 3, 3, 3), 64, 6, 550, True),
        ((3, 3, 3, 3, 3), 128, 7, 300, False),
        ((3, 3, 3, 3, 3), 512, 1, 6, True),
        ((5, 3), 64, 2, 50, True),
        ((3, 1, 5), 64, 2, 50, False),
        ((3, 3, 1, 1), 128, 2, 50, True),
    ],
)
def test_equals_the_judge(widths, channels, people, frames, linear, tmp_path):
    """The bench checks the largest, 243 columns of 1024 channels, before it measures it."""
    weights = random_weights(widths, channels, linear)
    columns, resets = random_run(frames, people)
    poses = stepped(build(weights, {}), columns, resets, tmp_path)
    expected = judged(weights, columns, resets)
    assert np.abs(poses - expected).max() < TOLERANCE
    assert 0.3 < expected.std() < 3  # else the tolerance would mean little


@pytest.mark.parametrize(("widths", "channels", "people"), [((3, 3), 64, 4), ((3, 3, 3, 1), 128, 2), ((5, 1, 3), 64, 3), ((3,) * 5, 64, 1)])
def test_a_symmetric_network_equals_the_judge_half_a_field_later(widths, channels, people, tmp_path):
    weights = random_weights(widths, channels, linear=False, spread=True, causal=False)
    assert delay(weights) == (np.prod(widths) - 1) // 2
    columns, resets = random_run(min(2 * receptive_field(weights), 300) + 7, people)
    graph = build(weights, {})
    assert np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets)).max() < TOLERANCE
    np.testing.assert_allclose(stepped(graph, columns, resets, tmp_path, "sigma"), judged_sigma(weights, columns, resets), rtol=TOLERANCE)
    assert {entry.key: entry.value for entry in graph.metadata_props}["delay"] == str(delay(weights))


def test_the_judge_notices_another_residual(tmp_path):
    weights = random_weights((3, 3), 64, linear=False, causal=False)
    columns, resets = random_run(60, 1)
    wrong = build(weights._replace(causal=True), {})
    assert np.abs(stepped(wrong, columns, resets, tmp_path) - judged(weights, columns, resets)).max() > 100 * TOLERANCE


@pytest.mark.parametrize("causal", [True, False])
def test_points_in_and_out_are_the_same_numbers_in_another_shape(causal, tmp_path):
    weights = random_lifter((3, 3), 64, 34, OUTPUTS, linear=False, spread=True, causal=causal)
    columns = np.random.default_rng(0).normal(size=(30, 2, 34)).astype(np.float32)
    resets = np.zeros((30, 2), bool)
    resets[[0, 20]] = True
    expected = judged(weights, columns, resets).reshape(30, 2, 17, 3)
    onnx.save(build(weights, {}, as_points=True), tmp_path / "lifter.onnx")
    network = StatefulNetwork(open_model(tmp_path / "lifter.onnx"), 2)
    for column, reset, pose in zip(columns, resets, expected):
        outputs = network.commit(column.reshape(2, 17, 2), reset)
        assert outputs.pose.shape == outputs.sigma.shape == (2, 17, 3)
        assert np.abs(outputs.pose - pose).max() < TOLERANCE


@pytest.mark.parametrize("causal", [True, False])
def test_whole_sequence_and_window_equal_the_judge(causal):
    weights = random_weights((3, 3, 3, 1), 64, linear=causal, causal=causal)
    columns = random_run(60, 1)[0][:, 0]
    expected = judge(*weights_for_judge(weights), columns)
    padded = np.pad(columns, [(26 - delay(weights), delay(weights)), (0, 0)], "edge")
    windows = np.concatenate([convolve(weights, padded[frame : frame + 27]).pose for frame in range(60)])
    assert np.abs(lift_sequence(weights, columns).pose - expected).max() < TOLERANCE
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


def test_logits_of_contact_equal_the_judge_s(tmp_path):
    """Small enough that the judge of standard deviations, which are exponentials, clips nothing."""
    weights = random_weights((3, 3, 1), 64, spread=True)
    contact = {"spread_weight": 0.1 * weights.spread_weight[:, :4], "spread_bias": weights.spread_bias[:4]}
    columns, resets = random_run(40, 2)
    expected = by_stretches(
        lambda stretch: np.log(judge_sigma(*spread_for_judge(weights._replace(**contact)), stretch)), 0, columns, resets, outputs=4
    )
    graph = build(weights._replace(contact_weight=contact["spread_weight"], contact_bias=contact["spread_bias"]), {})
    np.testing.assert_allclose(stepped(graph, columns, resets, tmp_path, "contact"), expected, atol=TOLERANCE)
    assert np.abs(stepped(graph, columns, resets, tmp_path) - judged(weights, columns, resets)).max() < TOLERANCE
    network = StatefulNetwork(open_model(tmp_path / "lifter.onnx"), 2)
    np.testing.assert_allclose(network.commit(columns[0], resets[0]).contact, expected[0], atol=TOLERANCE)


def test_a_network_that_tells_no_standard_deviations_gives_none(tmp_path):
    weights = random_weights((3, 3), 64)
    onnx.save(build(weights, {}), tmp_path / "lifter.onnx")
    network = StatefulNetwork(open_model(tmp_path / "lifter.onnx"), 1)
    assert network.commit(np.zeros((1, FEATURES), np.float32), np.array([True]))[1:] == (None, None)
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


def nodes(graph, kind):
    return [node for node in graph.graph.node if node.op_type == kind]


def change(graph, name, by):
    """Add to a constant of the graph."""
    constant = next(tensor for tensor in graph.graph.initializer if tensor.name == name)
    constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) + by, name))


def is_noticed(graph, weights, folder):
    columns, resets = random_run(60, 2)
    difference = np.abs(stepped(graph, columns, resets, folder) - judged(weights, columns, resets))
    return not difference.max() < 100 * TOLERANCE  # NaN, where it is from a state that should have been forgotten


@pytest.mark.parametrize(("layer", "columns"), [(0, -1), (1, -1), (1, 1), (2, -1), (2, 1)])
def test_the_judge_notices_taps_moved_by_one_column(layer, columns, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    taps = nodes(graph, "Slice")[3 * layer + 2]  # of each layer: the first column, the state that moves on, the taps
    for name in taps.input[1:3]:
        change(graph, name, columns)
    assert is_noticed(graph, weights, tmp_path)


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_a_state_that_moves_too_far(layer, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    moved = nodes(graph, "Concat")[2 * layer]
    moved.input[2], moved.input[1] = moved.input[1], moved.input[2]
    assert is_noticed(graph, weights, tmp_path)


@pytest.mark.parametrize("selection", range(4))
def test_the_judge_notices_what_is_not_reset(selection, tmp_path):
    """The age of the history, and every layer's first column."""
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    chosen = nodes(graph, "Where")[max(0, 2 * selection - 1)]
    chosen.input[1] = chosen.input[2]
    assert is_noticed(graph, weights, tmp_path)


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_a_tap_taken_one_column_too_early(layer, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    change(graph, nodes(graph, "Less")[layer].input[1], np.float32(-1))
    assert is_noticed(graph, weights, tmp_path)


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_a_past_that_is_multiplied_away(layer, tmp_path):
    """Zeros instead of the first column: what a mask on the state would give at best."""
    weights = random_weights((3, 3, 3), 64)
    graph = build(weights, {})
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1, 1), np.float32), "nothing"))
    nodes(graph, "Where")[2 + 2 * layer].input[1] = "nothing"
    assert is_noticed(graph, weights, tmp_path)


@pytest.mark.parametrize("layer", range(3))
def test_the_judge_notices_taps_in_the_wrong_order(layer, tmp_path):
    weights = random_weights((3, 3, 3), 64)
    turned = list(weights.blocks)
    if layer:
        turned[layer - 1] = turned[layer - 1]._replace(conv_weight=turned[layer - 1].conv_weight[::-1])
        wrong = weights._replace(blocks=tuple(turned))
    else:
        wrong = weights._replace(expand_weight=weights.expand_weight[::-1])
    assert is_noticed(build(wrong, {}), weights, tmp_path)


def test_the_graph_holds_to_what_every_backend_runs():
    graph = build(random_weights((3, 3, 3, 1), 64, spread=True), {"rate_hz": "30", "receptive_field": "wrong"})
    moving = {"Slice", "Concat", "Where", "Less", "Reshape", "Transpose"}
    assert {node.op_type for node in graph.graph.node} == {"Conv", "Relu", "Add", "Clip", "Exp", *moving}
    assert not any(value.type.tensor_type.elem_type == onnx.TensorProto.INT64 for value in graph.graph.input)
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 11)]
    assert {entry.key: entry.value for entry in graph.metadata_props} == {"rate_hz": "30", "receptive_field": "27", "delay": "0"}


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
    pose = next(value for value in graph.graph.output if value.name == "pose")
    assert graph.graph.node[-1].output[0] == "pose"
    graph.graph.node[-1].output[0] = pose.name = "something"
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="a stateful lifter takes features or keypoints, reset, state_"):
        StatefulNetwork(open_model(tmp_path / "other.onnx"), 1)
