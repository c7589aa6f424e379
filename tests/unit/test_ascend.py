"""An .om network on the (simulated) NPU gives what its ONNX graph gives, keeps its past on the device, and gives everything back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from random_lifter import random_lifter
from sim_acl.fixtures import BOTH_MODES
from sim_acl.om import OUTPUT_NAMES, make_om

from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends.backend import open_model
from poselift.models.convert.atc_graph import atc_form
from poselift.models.convert.lifter import build
from poselift.models.lifting.stateful import StatefulNetwork

ROWS, FEATURES = 2, 20
HALF_STEP = 2e-2
"""What float16 may make of poses of about 1."""


def stateful_graph() -> onnx.ModelProto:
    return build(random_lifter((3, 3), 16, FEATURES, spread=True, contact=True), {"rate_hz": "30"}, slots=ROWS)


def picture_graph() -> onnx.ModelProto:
    """The mean colour of a picture, and a number that says how bright it is."""
    nodes = [
        helper.make_node("Cast", ["picture"], ["numbers"], "numbers", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["colour"], "colour", axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "weight"], ["bright"], "bright"),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, 8, 8, 3])
    colour = helper.make_tensor_value_info("colour", TensorProto.FLOAT, [1, 3])
    bright = helper.make_tensor_value_info("bright", TensorProto.FLOAT, [1, 1])
    weight = numpy_helper.from_array(np.full((3, 1), 0.25, np.float32), "weight")
    graph = helper.make_graph(nodes, "picture", [picture], [colour, bright], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def write(graph: onnx.ModelProto, folder: Path, name: str = "network", **options) -> Path:
    """The simulated .om of a graph, with its card; the ONNX beside it."""
    onnx.save(graph, folder / f"{name}.onnx")
    make_om(folder / f"{name}.onnx", folder / f"{name}.om", **options)
    return folder / f"{name}.om"


def a_run(steps: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """Columns, resets, and whether the step is kept."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(steps, ROWS, FEATURES)).astype(np.float32)
    resets = rng.random((steps, ROWS)) < 0.1
    resets[0] = True
    keeps = rng.random(steps) < 0.7
    return list(zip(columns, resets, [bool(keep) for keep in keeps]))


@contextmanager
def stepping(path: Path) -> Iterator[StatefulNetwork]:
    """The network of a file, ready to step."""
    with closing(open_model(path)) as model, closing(StatefulNetwork(model, ROWS)) as network:
        yield network


def first_step(network: StatefulNetwork) -> None:
    network.commit(np.zeros((ROWS, FEATURES), np.float32), np.ones(ROWS, bool))


def stepped(path: Path, run) -> list[np.ndarray]:
    """All that every step tells."""
    found = []
    with stepping(path) as network:
        for column, reset, keep in run:
            outputs = (network.commit if keep else network.peek)(column, reset)
            found.append(np.concatenate(outputs, 1))
    return found


@BOTH_MODES
@pytest.mark.parametrize("names", OUTPUT_NAMES)
def test_a_lifter_s_steps_are_those_of_its_onnx_graph(npu, tmp_path, names):
    path = write(stateful_graph(), tmp_path, half=False, output_names=names)
    run = a_run(40)
    np.testing.assert_allclose(stepped(path, run), stepped(path.with_suffix(".onnx"), run), atol=1e-5)


@pytest.mark.parametrize(
    "dtypes",
    [
        {"pose": "float16", "features": "float16", "reset": "uint8"},
        {"reset": "float32", "sigma": "float16"},
        {f"{which}state_{layer}": "float16" for which in ("", "next_") for layer in (0, 1)},
    ],
)
def test_float16_and_float32_by_what_the_model_says(npu, tmp_path, dtypes):
    path = write(stateful_graph(), tmp_path, dtypes=dtypes)
    run = a_run(40)
    found = stepped(path, run)
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(found, stepped(path.with_suffix(".onnx"), run), atol=HALF_STEP)


def test_the_form_for_atc_steps_as_the_graph_does(npu, tmp_path):
    graph = build(random_lifter((3, 3), 16, FEATURES, spread=True, contact=True), {})
    onnx.save(graph, tmp_path / "open.onnx")
    path = write(atc_form(graph, ROWS), tmp_path, half=False)
    run = a_run(40)
    np.testing.assert_allclose(stepped(path, run), stepped(tmp_path / "open.onnx", run), atol=1e-5)


def test_outputs_are_known_by_the_tensor_s_name_where_the_version_tells_it(npu, tmp_path):
    graph = picture_graph()
    for number, node in enumerate(graph.graph.node):
        node.name = f"node{number}"
    with closing(open_model(write(graph, tmp_path, output_names="node:0:tensor"))) as model:
        assert [tensor.name for tensor in model.outputs] == ["colour", "bright"]


@BOTH_MODES
def test_a_step_copies_keypoints_reset_and_outputs_and_nothing_else(npu, tmp_path):
    path = write(stateful_graph(), tmp_path)
    with stepping(path) as network:
        run = a_run(12)
        network.commit(*run[0][:2])
        npu.report.forget_counts()
        for column, reset, keep in run[1:]:
            (network.commit if keep else network.peek)(column, reset)
        steps, floats = len(run) - 1, 4
        taken, given = ROWS * FEATURES * floats + ROWS, ROWS * (2 * 51 + 4) * floats
        assert npu.report.copied_bytes == {"h2h": 0, "h2d": steps * taken, "d2h": steps * given, "d2d": 0}
        assert not any(npu.report.applied.values())
        assert npu.report.calls["mdl.execute_async"] == npu.report.calls["rt.synchronize_stream"] == steps
        assert npu.report.calls["mdl.execute"] == 0
    assert not any(npu.report.held.values())


@BOTH_MODES
def test_a_network_without_a_past_gives_what_its_onnx_graph_gives(npu, tmp_path):
    path = write(picture_graph(), tmp_path, dtypes={"picture": "float32", "bright": "float16"})
    picture = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    with closing(open_model(path)) as model, closing(open_model(path.with_suffix(".onnx"))) as judge:
        assert model.inputs == judge.inputs and model.outputs == judge.outputs
        for shown in (picture, 255 - picture):
            found, expected = model.run({"picture": shown}), judge.run({"picture": shown})
            assert {name: value.dtype for name, value in found.items()} == {name: value.dtype for name, value in expected.items()}
            for name in expected:
                np.testing.assert_allclose(found[name], expected[name], rtol=2e-3)


def test_what_is_given_back_as_a_view_with_gaps_is_read_right(npu, tmp_path):
    path = write(picture_graph(), tmp_path, half=False)
    wide = np.random.default_rng(0).integers(0, 256, (1, 8, 16, 3), np.uint8)
    with closing(open_model(path)) as model:
        found = model.run({"picture": wide[:, :, ::2]})
    np.testing.assert_allclose(found["colour"], wide[:, :, ::2].mean((1, 2)), rtol=1e-5)


def test_networks_of_one_process_share_the_device_and_the_last_gives_it_back(npu, tmp_path):
    paths = [write(picture_graph(), tmp_path, "one"), write(stateful_graph(), tmp_path, "two")]
    first, second = map(open_model, paths)
    assert npu.report.held["init"] == npu.report.held["device"] == npu.report.held["stream"] == 1
    first.run({"picture": np.zeros((1, 8, 8, 3), np.uint8)})
    first.close()
    assert npu.report.held["stream"] == 1
    with closing(StatefulNetwork(second, ROWS)) as network:
        first_step(network)
    second.close()
    assert not any(npu.report.held.values())


def test_two_streams_of_people_have_pasts_of_their_own(npu, tmp_path):
    path = write(stateful_graph(), tmp_path, half=False)
    runs = a_run(20, seed=1), a_run(20, seed=2)
    alone = [stepped(path.with_suffix(".onnx"), run) for run in runs]
    found: list[list[np.ndarray]] = [[], []]
    with closing(open_model(path)) as model:
        with closing(StatefulNetwork(model, ROWS)) as one, closing(StatefulNetwork(model, ROWS)) as other:
            for steps in zip(*runs):
                for network, results, (column, reset, keep) in zip((one, other), found, steps):
                    outputs = (network.commit if keep else network.peek)(column, reset)
                    results.append(np.concatenate(outputs, 1))
        assert npu.report.held["memory"] == 0
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_any_thread_may_run_it(npu, tmp_path):
    path = write(stateful_graph(), tmp_path, half=False)
    run = a_run(30)
    expected = stepped(path.with_suffix(".onnx"), run)
    found = []
    with stepping(path) as network:

        def step(column, reset, keep):
            outputs = (network.commit if keep else network.peek)(column, reset)
            found.append(np.concatenate(outputs, 1))

        for arguments in run:
            thread = threading.Thread(target=step, args=arguments)
            thread.start()
            thread.join()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_threads_that_run_it_at_once_wait_for_each_other(npu, tmp_path):
    path = write(picture_graph(), tmp_path, half=False)
    start, wrong = threading.Barrier(4), []
    with closing(open_model(path)) as model:

        def look(level):
            start.wait()
            for _ in range(25):
                colour = model.run({"picture": np.full((1, 8, 8, 3), level, np.uint8)})["colour"]
                wrong.extend([] if (colour == level).all() else [colour])

        threads = [threading.Thread(target=look, args=(level,)) for level in (10, 20, 30, 40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_python_goes_on_while_the_npu_works(npu, tmp_path):
    path = write(picture_graph(), tmp_path)
    with closing(open_model(path)) as model:
        thread = threading.Thread(target=model.run, args=({"picture": np.zeros((1, 8, 8, 3), np.uint8)},))
        with npu.faults.begin("hang", on="rt.synchronize_stream") as fault:
            thread.start()
            fault.wait()
            assert thread.is_alive()  # and this thread runs
        thread.join()


@pytest.mark.parametrize("npu", [{"run_mode": "HOST"}, {"run_mode": "DEVICE"}], indirect=True)
@pytest.mark.parametrize("code", [507011, 507014, 507015])
@pytest.mark.parametrize("call", ["mdl.execute_async", "rt.synchronize_stream"])
def test_what_fails_while_it_runs_is_one_line_and_everything_is_given_back(npu, tmp_path, code, call):
    path = write(stateful_graph(), tmp_path)
    with pytest.raises(DeviceError, match=rf"^the NPU: acl\.{call} answered {code} \([^)]+\); [^\n]+$"), stepping(path) as network:
        first_step(network)
        with npu.faults.begin(code, on=call):
            first_step(network)
    assert not any(npu.report.held.values())


def test_what_comes_of_a_failure_does_not_hide_it(npu, tmp_path, monkeypatch):
    from poselift.models.backends import pyacl

    free = pyacl.acl.rt.free
    monkeypatch.setattr(pyacl.acl.rt, "free", lambda address: free(address) or 507015)
    path = write(stateful_graph(), tmp_path)
    with pytest.raises(DeviceError, match=r"synchronize_stream answered 507011"), stepping(path) as network:
        first_step(network)
        with npu.faults.begin(507011, on="rt.synchronize_stream"):
            first_step(network)


def test_what_fails_when_it_is_given_back_is_told_and_the_rest_is_given_back_too(npu, tmp_path, monkeypatch):
    from poselift.models.backends import pyacl

    free = pyacl.acl.rt.free
    monkeypatch.setattr(pyacl.acl.rt, "free", lambda address: free(address) or 507015)
    with pytest.raises(DeviceError, match=r"rt\.free answered 507015"), stepping(write(stateful_graph(), tmp_path)):
        pass
    assert not any(npu.report.held.values())


def test_whoever_initialised_pyacl_before_finalises_it(npu, tmp_path):
    from poselift.models.backends import pyacl

    assert pyacl.init()
    with stepping(write(stateful_graph(), tmp_path)) as network:
        first_step(network)
    assert npu.report.held["init"] == 1
    pyacl.finalize()


REFUSED = {
    "init": 207001, "rt.set_device": 207001, "rt.create_context": (0, 207001), "rt.create_stream": (0, 207001),
    "rt.get_run_mode": (0, 207001), "rt.set_context": 207001, "rt.malloc": (0, 207001), "rt.memset": 207001, "rt.memcpy": 207001,
    "mdl.load_from_file": (0, 207001), "mdl.create_desc": 0, "mdl.get_desc": 207001, "mdl.get_input_dims": ({}, 207001),
    "mdl.create_dataset": 0, "create_data_buffer": 0, "mdl.add_dataset_buffer": (0, 207001), "mdl.execute_async": 207001,
}  # fmt: skip
"""What each call answers where it fails for lack of memory."""


@pytest.mark.parametrize("call", REFUSED)
def test_whatever_call_fails_nothing_is_left_behind(npu, tmp_path, monkeypatch, call):
    from poselift.models.backends import pyacl

    path = write(stateful_graph(), tmp_path)
    *folder, name = call.split(".")
    place = getattr(pyacl.acl, folder[0]) if folder else pyacl.acl
    monkeypatch.setattr(place, name, lambda *_: REFUSED[call])
    line = rf"^the NPU: acl\.{call} answered \d+ \([^)]+\); stop other programs that use the NPU"
    with pytest.raises(DeviceError, match=line), stepping(path) as network:
        first_step(network)
    assert not any(npu.report.held.values())


def test_a_device_that_runs_out_of_memory(npu, tmp_path):
    npu.start(memory_bytes=1 << 10)
    with pytest.raises(DeviceError, match="memory allocation failed"), closing(open_model(write(stateful_graph(), tmp_path))) as model:
        model.carrying({f"state_{layer}": f"next_state_{layer}" for layer in (0, 1, "age")}, ROWS)
    assert not any(npu.report.held.values())


def test_a_device_that_disappears_while_it_runs(npu, tmp_path):
    path = write(stateful_graph(), tmp_path)
    with pytest.raises(DeviceError, match="the NPU: "), stepping(path) as network, npu.faults.begin("gone"):
        first_step(network)
    assert not any(npu.report.held.values())


def test_a_step_of_another_shape_is_refused_and_the_next_one_runs(npu, tmp_path):
    path = write(stateful_graph(), tmp_path)
    with stepping(path) as network:
        with pytest.raises(ValueError, match="features is 2 x 20 in this network, not 3 x 20"):
            network.commit(np.zeros((3, FEATURES), np.float32), np.ones(ROWS, bool))
        first_step(network)


def test_for_another_number_of_people_it_says_so(npu, tmp_path):
    path = write(stateful_graph(), tmp_path)
    with closing(open_model(path)) as model, pytest.raises(ModelError, match="built for 2 people, not 3"):
        StatefulNetwork(model, 3)
