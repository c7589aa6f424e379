"""On an NPU the networks give what their ONNX graphs give, to half precision; a past is kept, looked at, and begun anew."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from poselift.models.backends.backend import Model, open_model
from poselift.models.backends.om_card import read_card
from poselift.models.lifting.stateful import StatefulNetwork

NAMES = ("blazepose_detector", "efficientdet_lite0", "blazepose_landmarks", "lifter")
HALF = 0.02
"""What half precision may make of a network's outputs, in parts of their span, or of 1 where that is more."""


@pytest.fixture
def judge(networks: Path):
    """A function that gives what the ONNX graph beside an .om gives, for one tensor per input."""
    pytest.importorskip("onnxruntime", reason="to compare with, ONNX Runtime is needed: pip install onnxruntime")
    opened: dict[str, Model] = {}

    def run(name, tensors):
        if name not in opened:
            opened[name] = open_model(networks / f"{name}.onnx")
        kinds = {tensor.name: tensor.dtype for tensor in opened[name].inputs}
        return opened[name].run({key: value.astype(kinds[key]) for key, value in tensors.items()})

    yield run
    for model in opened.values():
        model.close()


def om(networks: Path, name: str) -> Path:
    """The network's file. Skips on a board whose folder was made for one person or for several, and lacks what the others need."""
    path = networks / f"{name}.om"
    return path if path.is_file() else pytest.skip(f"{path} is not there")


def made_up(model: Model, seed: int) -> dict[str, np.ndarray]:
    """Random inputs, of the kind that the network is made for."""
    rng = np.random.default_rng(seed)
    given = {}
    for name, dtype, shape in model.inputs:
        of_kind = {"u": rng.integers(0, 256, shape), "b": np.ones(shape), "f": rng.normal(0, 0.5, shape)}
        given[name] = of_kind[dtype.kind].astype(dtype)
    return given


def require_near(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=HALF * max(1, np.ptp(expected)))


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_what_its_card_says(networks, name):
    card = read_card(om(networks, name))
    with closing(open_model(om(networks, name))) as model:
        assert (model.inputs, model.outputs, model.metadata) == (card.inputs, card.outputs, card.metadata)
        outputs = model.run(made_up(model, seed=0))
    assert {name: (value.dtype, value.shape) for name, value in outputs.items()} == {
        tensor.name: (tensor.dtype, tensor.shape) for tensor in card.outputs
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_what_its_onnx_graph_gives(networks, judge, name):
    with closing(open_model(om(networks, name))) as model:
        for seed in range(3):
            tensors = made_up(model, seed)
            expected = judge(name, tensors)
            for output, value in model.run(tensors).items():
                require_near(value, expected[output])


def columns(model: Model, count: int) -> list[np.ndarray]:
    """What a lifter is given, one step after the other."""
    (shape,) = (tensor.shape for tensor in model.inputs if tensor.name == "features")
    return list(np.random.default_rng(0).normal(0, 0.1, (count, *shape)).cumsum(0).astype(np.float32))


def rows_of(model: Model) -> int:
    return model.inputs[0].shape[0]


def test_the_lifter_s_past_goes_on_step_by_step(networks, judge):
    with closing(open_model(networks / "lifter.om")) as model, closing(StatefulNetwork(model, rows_of(model))) as network:
        rows = rows_of(model)
        state = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in model.inputs if tensor.name.startswith("state_")}
        for number, column in enumerate(columns(model, 40)):
            reset = np.full(rows, number in (0, 25))
            expected = judge("lifter", {"features": column, "reset": reset, **state})
            state = {name: expected[f"next_{name}"] for name in state}
            found = network.commit(column, reset)
            for output, value in found._asdict().items():
                if value is not None:
                    require_near(value, expected[output])
            assert (found.contact is not None) == ("contact" in expected)


def test_who_only_looks_changes_nothing(networks):
    with closing(open_model(networks / "lifter.om")) as model:
        rows, poses = rows_of(model), []
        for looks in (False, True):
            with closing(StatefulNetwork(model, rows)) as network:
                for number, column in enumerate(columns(model, 12)):
                    reset = np.full(rows, number == 0)
                    if looks:
                        network.peek(-column, np.full(rows, True))
                        ahead = network.peek(column, reset).pose
                    poses.append(network.commit(column, reset).pose)
                    assert not looks or (ahead == poses[-1]).all()
        np.testing.assert_array_equal(poses[:12], poses[12:])


def test_a_reset_forgets_the_past(networks):
    with closing(open_model(networks / "lifter.om")) as model, closing(StatefulNetwork(model, rows_of(model))) as network:
        rows = rows_of(model)
        first = [network.commit(column, np.full(rows, number == 0)).pose for number, column in enumerate(columns(model, 12))]
        again = [network.commit(column, np.full(rows, number == 0)).pose for number, column in enumerate(columns(model, 12))]
    np.testing.assert_array_equal(first, again)


def test_all_networks_of_one_process_in_any_thread(networks):
    models = [open_model(path) for path in networks.glob("*.om")]
    expected = [model.run(made_up(model, seed=1)) for model in models]
    found = []

    def run_all():
        found.extend(model.run(made_up(model, seed=1)) for model in models)

    thread = threading.Thread(target=run_all)
    thread.start()
    thread.join()
    for model in models:
        model.close()
    for one, other in zip(expected, found):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
