"""The half precision graph: its poses stay within a millimetre of the full one's on average, however long it carries its state."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from random_lifter import random_lifter
from sim_acl.half import to_half
from sim_acl.tiny import halved

import poselift.models
from poselift.common.people import People2D
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.person_camera import FEATURES
from poselift.models.lifting.stateful import StatefulNetwork

WEIGHTS = Path(poselift.models.__file__).parent / "weights" / "lifter.onnx"
FRAMES = 400
LEFT_HALF_M = {
    "nose": (0, -0.72), "eye": (0.03, -0.76), "ear": (0.07, -0.74), "shoulder": (0.18, -0.50), "elbow": (0.24, -0.22),
    "wrist": (0.26, 0.03), "hip": (0.12, 0), "knee": (0.12, 0.42), "ankle": (0.12, 0.83),
}  # fmt: skip


def walking(focal_px=1400.0):
    """Keypoints [FRAMES, 17, 3] of someone who walks on the spot, turns and comes nearer, before a detector that trembles by 2 px."""
    rng = np.random.default_rng(0)
    seconds = np.arange(FRAMES) / 30
    keypoints = np.zeros((FRAMES, 17, 3))
    for index, name in enumerate(COCO_KEYPOINTS):
        side, _, part = name.rpartition("_")
        x, y = LEFT_HALF_M[part]
        sign = -1 if side == "right" else 1
        swing = sign * {"wrist": -0.3, "elbow": -0.15, "knee": 0.2, "ankle": 0.35}.get(part, 0) * np.sin(6 * seconds)
        lift = {"knee": 0.05, "ankle": 0.1, "wrist": 0.1}.get(part, 0) * np.maximum(0, sign * np.cos(6 * seconds))
        turn = 0.8 * seconds
        right, ahead = sign * x * np.cos(turn) + swing * np.sin(turn), swing * np.cos(turn) - sign * x * np.sin(turn)
        depth = 5 - 0.15 * seconds + ahead
        keypoints[:, index] = np.stack([960 + focal_px * right / depth, 500 + focal_px * (y - lift) / depth, np.full(FRAMES, 0.9)], -1)
    keypoints[..., :2] += rng.normal(size=(FRAMES, 17, 2)) * 2
    keypoints[..., 2] *= rng.random((FRAMES, 17)) > 0.03  # and misses some
    return keypoints.astype(np.float32)


def lifted(graph, folder):
    """Joints [FRAMES, 17, 3] in metres."""
    onnx.save(graph, folder / "graph.onnx")
    lifter = Lifter(open_model(folder / "graph.onnx"))
    return np.array(
        [lifter.step(frame * 33_333_333, People2D([1], [points]), (1920, 1080)).joints_m[0, :17] for frame, points in enumerate(walking())]
    )


def test_our_weights_in_half_precision_stay_within_a_millimetre(tmp_path):
    graph = onnx.load(WEIGHTS)
    distances_mm = 1000 * np.linalg.norm(lifted(graph, tmp_path) - lifted(to_half(graph), tmp_path), axis=-1)
    assert 0 < distances_mm.mean() < 1
    assert distances_mm[-100:].mean() < 1.5 * distances_mm[:100].mean() + 0.1  # no error gathers in the state


@pytest.mark.parametrize("linear", [True, False])
def test_a_fresh_graph_keeps_its_state_and_weights_in_half_precision(linear, tmp_path):
    weights = random_lifter((3, 3, 3, 1), 64, FEATURES[17], linear=linear, spread=True)
    full, half = build(weights, {}), to_half(build(weights, {}))
    runs = []
    for graph in (full, half):
        onnx.save(graph, tmp_path / "graph.onnx")
        network = StatefulNetwork(open_model(tmp_path / "graph.onnx"), 2)
        columns = np.random.default_rng(0).normal(size=(100, 2, FEATURES[17])).astype(np.float32)
        runs.append([network.commit(column, np.array([frame == 0, frame in (0, 40)])) for frame, column in enumerate(columns)])
    for exact, rounded in zip(*runs):
        assert np.array_equal(rounded.pose, halved(rounded.pose)) and np.array_equal(rounded.sigma, halved(rounded.sigma))
        assert 0 < np.abs(rounded.pose - exact.pose).max() < 0.02
        np.testing.assert_allclose(rounded.sigma, exact.sigma, rtol=0.03)
    for constant in half.graph.initializer:
        values = numpy_helper.to_array(constant)
        assert values.dtype != np.float32 or np.array_equal(values, halved(values))


def test_every_result_is_rounded_also_where_operators_are_joined(tmp_path):
    """Against numpy, with numbers whose float32 arithmetic is exact, so that only the rounding to float16 shows."""
    kernel, bias, step = np.full((1, 1, 1, 1), 3, np.float32), np.array([0.25], np.float32), np.array(1 / 64, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["a"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["b", "step"], ["c"]),
        helper.make_node("Add", ["c", "step"], ["d"]),
        helper.make_node("Mul", ["d", "d"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, 1, 9]) for name in "xy")
    constants = [numpy_helper.from_array(value, name) for name, value in (("kernel", kernel), ("bias", bias), ("step", step))]
    model = helper.make_model(helper.make_graph(nodes, "chain", [x], [y], constants), opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.save(to_half(model), tmp_path / "chain.onnx")
    given = np.arange(-1, 8, dtype=np.float32) + np.float32(1 / 1024)
    c = halved(halved(np.maximum(halved(halved(given) * 3 + bias), 0)) + step)
    d = halved(c + step)
    found = open_model(tmp_path / "chain.onnx").run({"x": given.reshape(1, 1, 1, 9)})["y"].reshape(-1)
    assert np.array_equal(found, halved(d * d))
    assert not np.array_equal(found, halved((np.maximum(given * 3 + bias, 0) + 2 * step) ** 2))  # rounding at the end is not enough


def test_a_weight_that_half_precision_cannot_hold_is_refused():
    weights = random_lifter((3, 3), 64, FEATURES[17])
    weights.shrink_weight[3, 5] = 1e5
    with pytest.raises(ValueError, match="100000 is no number that float16 can hold"):
        to_half(build(weights, {}))
