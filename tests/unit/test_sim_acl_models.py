"""The simulated pyACL's models: what is loaded, what is told of it, when it is executed, and what of that is refused."""

import importlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from sim_acl.fixtures import BOTH_MODES
from sim_acl.program import Loaded, copy, device
from sim_acl.tiny import METADATA, ROWS, WEIGHTS, halved, tiny_om, tiny_onnx

from poselift.models.backends.om_card import read_card

RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
KEEP = RNG.random((ROWS, 1)) < 0.5
Y = np.where(KEEP, halved(X), halved(halved(X) * halved(WEIGHTS)))
"""What the network gives in half precision."""


@pytest.fixture
def acl(npu):
    return importlib.import_module("acl")


@pytest.fixture
def stream(acl):
    with device(acl) as stream:
        yield stream


@pytest.fixture
def tiny(acl, stream, tmp_path):
    with Loaded(acl, tiny_om(tmp_path)) as tiny:
        tiny.put(0, X)
        tiny.put(1, KEEP)
        yield tiny


# files


@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_file(acl, stream, tmp_path, content):
    path = tmp_path / "tiny.om"
    if content is not None:
        path.write_bytes(content)
    assert acl.mdl.load_from_file(str(path)) == (0, 145002)
    assert acl.mdl.query_size(str(path)) == (0, 0, 145002)
    assert acl.mdl.load_from_file(str(tmp_path)) == (0, 145002)


def test_a_file_that_begins_as_the_real_one_does(tmp_path):
    content = Path(tiny_om(tmp_path)).read_bytes()
    assert content[:4] == b"IMOD" and content[4:8] == (256).to_bytes(4, "little")
    assert int.from_bytes(content[76:80], "little") == len(content) - 256


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:200], lambda content: b"IMOX" + content[4:]])
def test_a_truncated_file_and_one_of_another_kind(acl, stream, tmp_path, damage):
    path = Path(tiny_om(tmp_path))
    path.write_bytes(damage(path.read_bytes()))
    assert acl.mdl.load_from_file(str(path)) == (0, 145006)


@pytest.mark.parametrize(
    ("npu", "soc", "runs"),
    [
        ({"soc": "Ascend310B4"}, "Ascend310B1", True),
        ({"soc": "Ascend310B4"}, "Ascend310", False),
        ({"soc": "Ascend310"}, "Ascend310B4", False),
        ({"soc": "Ascend310"}, "Ascend310", True),
    ],
    indirect=["npu"],
)
def test_a_file_for_another_family_of_chips_is_not_loaded(acl, stream, tmp_path, soc, runs):
    model, ret = acl.mdl.load_from_file(tiny_om(tmp_path, soc=soc))
    assert (ret == 0) == runs
    acl.mdl.unload(model)


def test_the_card_beside_the_file(tmp_path):
    tiny_om(tmp_path, soc="Ascend310", dtypes={"y": "float16"})
    card = read_card(tmp_path / "tiny.om")
    assert (card.name, card.soc, card.metadata) == ("tiny", "Ascend310", METADATA)
    kinds = {tensor.name: (tensor.dtype.name, tensor.shape) for tensor in (*card.inputs, *card.outputs)}
    assert kinds == {"x": ("float32", (ROWS, 3)), "keep": ("bool", (ROWS, 1)), "y": ("float32", (ROWS, 3)), "z": ("float32", (ROWS, 3))}
    assert len(json.loads((tmp_path / "tiny.json").read_text())["onnx_sha256"]) == 64


def test_a_graph_whose_shapes_are_open_makes_no_file(tmp_path):
    from sim_acl.om import make_om

    with pytest.raises(ValueError, match="x has the shape \\(0, 3\\)"):
        make_om(tiny_onnx(tmp_path / "open.onnx", rows="N"), tmp_path / "open.om")


# descriptions


@pytest.mark.parametrize(
    ("names", "y", "z"), [("node:0:tensor", "select:0:y", "Add_2:0:z"), ("node:0", "select:0", "Add_2:0"), ("tensor", "y", "z")]
)
def test_the_description_tells_names_types_shapes_and_sizes(acl, stream, tmp_path, names, y, z):
    with Loaded(acl, tiny_om(tmp_path, output_names=names, dtypes={"keep": "uint8", "z": "float16"})) as tiny:
        mdl, desc = acl.mdl, tiny.desc
        assert [mdl.get_input_name_by_index(desc, index) for index in range(2)] == ["x", "keep"]
        assert [mdl.get_output_name_by_index(desc, index) for index in range(2)] == [y, z]
        assert [mdl.get_input_data_type(desc, index) for index in range(2)] == [0, 4]
        assert [mdl.get_output_data_type(desc, index) for index in range(2)] == [0, 1]
        assert tiny.sizes == [ROWS * 12, ROWS, ROWS * 12, ROWS * 6]
        assert mdl.get_output_dims(desc, 1) == ({"name": z, "dimCount": 2, "dims": [ROWS, 3]}, 0)
        assert mdl.get_input_dims(desc, 1)[0]["dims"] == [ROWS, 1]
        assert mdl.get_input_format(desc, 0) == mdl.get_output_format(desc, 0) == 2
        assert mdl.get_input_index_by_name(desc, "keep") == mdl.get_output_index_by_name(desc, z) == (1, 0)
        assert mdl.get_output_index_by_name(desc, "other") == (0, 100000)


def test_beyond_the_last_tensor_there_is_nothing(acl, tiny):
    mdl, desc = acl.mdl, tiny.desc
    assert mdl.get_input_data_type(desc, 2) == mdl.get_output_data_type(desc, -1) == -1
    assert mdl.get_input_name_by_index(desc, 2) == mdl.get_output_name_by_index(desc, 2) == ""
    assert mdl.get_input_dims(desc, 2)[0] == mdl.get_output_dims(desc, 2)[0] == {}
    assert mdl.get_input_size_by_index(desc, 2) == 0


def test_a_description_must_be_filled_and_not_destroyed(acl, npu, stream):
    desc = acl.mdl.create_desc()
    assert acl.mdl.get_num_inputs(desc) == 0
    npu.expect_violation("before mdl.get_desc filled it")
    assert acl.mdl.get_desc(desc, 1) == 145003
    assert acl.mdl.destroy_desc(desc) == 0
    acl.mdl.destroy_desc(desc)
    npu.expect_violation("a destroyed desc was used")


# models


def test_ids_start_at_1_and_what_is_unknown_is_refused(acl, stream, tmp_path):
    path = tiny_om(tmp_path)
    assert [acl.mdl.load_from_file(path) for _ in range(2)] == [(1, 0), (2, 0)]
    assert acl.mdl.unload(1) == 0
    assert acl.mdl.unload(1) == acl.mdl.unload(7) == acl.mdl.execute(1, 0, 0) == 145003
    assert acl.mdl.unload(2) == 0


def test_a_model_in_memory_and_one_in_memory_of_the_program(acl, stream, tmp_path):
    path = tiny_om(tmp_path)
    content = Path(path).read_bytes()
    assert acl.mdl.load_from_mem(acl.util.bytes_to_ptr(content), len(content)) == (1, 0)
    assert acl.mdl.load_from_mem(0, 1) == (0, 100000)
    work, weights, ret = acl.mdl.query_size(path)
    assert ret == 0
    places = [acl.rt.malloc(size, 0)[0] for size in (work, weights)]
    assert acl.mdl.load_from_file_with_mem(path, places[0], work, places[1], weights) == (2, 0)
    for model, place in zip((1, 2), places):
        assert acl.mdl.unload(model) == acl.rt.free(place) == 0


@pytest.mark.parametrize("npu", [{"memory_bytes": 2000}], indirect=True)
def test_a_model_takes_memory_until_it_is_unloaded(acl, stream, tmp_path):
    path = tiny_om(tmp_path)
    size = Path(path).stat().st_size
    assert 1000 < size < 2000
    assert acl.mdl.load_from_file(path) == (1, 0)
    assert acl.mdl.load_from_file(path) == (0, 207001)
    assert acl.rt.get_mem_info(0)[0] == 2000 - size
    assert acl.mdl.unload(1) == 0
    assert acl.rt.get_mem_info(0)[0] == 2000


def test_load_execute_and_unload_share_a_context(acl, npu, tiny, stream):
    default, _ = acl.rt.get_context()
    other, _ = acl.rt.create_context(0)
    assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) != 0
    npu.expect_violation("an execution in another context than the model was loaded in")
    assert acl.mdl.unload(tiny.id) != 0
    npu.expect_violation("mdl.unload in another context")
    acl.rt.destroy_context(other)
    acl.rt.set_context(default)


def test_a_context_goes_after_its_models(acl, npu, tmp_path):
    with device(acl):
        context, _ = acl.rt.create_context(0)
        acl.mdl.load_from_file(tiny_om(tmp_path))
        acl.rt.destroy_context(context)
        npu.expect_violation("rt.destroy_context with a model in it")
    npu.expect_violation("rt.reset_device while 1 of model are held")
    npu.expect_violation("acl.finalize while 1 of model are held")


# execution


@BOTH_MODES
def test_the_network_is_run_in_half_precision(acl, tiny):
    assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == 0
    assert np.array_equal(tiny.get(0), Y)
    assert np.array_equal(tiny.get(1), halved(Y + 1))
    assert not np.array_equal(Y, np.where(KEEP, X, X * WEIGHTS))


def test_a_network_that_is_not_halved_is_run_as_it_is(acl, stream, tmp_path):
    with Loaded(acl, tiny_om(tmp_path, half=False)) as tiny:
        tiny.put(0, X)
        tiny.put(1, KEEP)
        acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)
        assert np.array_equal(tiny.get(0), np.where(KEEP, X, X * WEIGHTS))


def test_inputs_and_outputs_of_other_dtypes(acl, stream, tmp_path):
    kinds = {"x": "float16", "keep": "float32", "y": "float16"}
    with Loaded(acl, tiny_om(tmp_path, dtypes=kinds)) as tiny:
        tiny.put(0, X.astype(np.float16))
        tiny.put(1, KEEP.astype(np.float32))
        acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)
        assert np.array_equal(tiny.get(0, "float16"), Y.astype(np.float16))


@BOTH_MODES
def test_until_the_stream_is_waited_for_the_outputs_are_garbage(acl, npu, tiny, stream):
    assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == 0
    assert acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream) == 0
    assert np.isnan(tiny.get(0)).all()
    npu.expect_violation("from the output of an execution that nobody had waited for")
    assert acl.rt.synchronize_stream(stream) == 0
    assert np.array_equal(tiny.get(0), Y)


@BOTH_MODES
def test_inputs_are_read_when_the_execution_happens(acl, npu, tiny, stream):
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream)
    tiny.put(0, X + 1)
    npu.expect_violation("were written while an execution was in flight")
    acl.rt.synchronize_stream(stream)
    assert not np.array_equal(tiny.get(0), Y)


def test_work_of_one_stream_is_done_in_order(acl, tiny, stream):
    """The second execution takes what the first gives, and gives what the first has taken by then."""
    x, keep, y, z = tiny.addresses
    buffers = [[acl.create_data_buffer(address, tiny.sizes[0]) for address in addresses] for addresses in ((y, keep), (x, z))]
    datasets = [tiny.dataset(some) for some in buffers]
    assert acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream) == 0
    assert acl.mdl.execute_async(tiny.id, *datasets, stream) == 0
    assert acl.rt.synchronize_stream(stream) == 0
    array = np.zeros_like(X)
    copy(acl, array.ctypes.data, x, array.nbytes, "d2h")
    assert np.array_equal(array, np.where(KEEP, Y, halved(Y * halved(WEIGHTS))))
    for dataset, some in zip(datasets, buffers):
        acl.mdl.destroy_dataset(dataset)
        for buffer in some:
            acl.destroy_data_buffer(buffer)


def test_nothing_of_an_execution_is_taken_away_while_it_is_in_flight(acl, npu, tiny, stream):
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream)
    acl.rt.free(tiny.addresses[0])
    npu.expect_violation("freed while an execution was in flight")
    acl.mdl.destroy_dataset(tiny.inputs)
    npu.expect_violation("a dataset was destroyed while an execution was in flight")
    acl.update_data_buffer(tiny.buffers[1], tiny.addresses[1], tiny.sizes[1])
    npu.expect_violation("a data buffer was updated while")
    acl.destroy_data_buffer(tiny.buffers[0])
    npu.expect_violation("a data buffer was destroyed while")
    acl.mdl.unload(tiny.id)
    npu.expect_violation("mdl.unload while an execution was in flight")
    assert acl.rt.synchronize_stream(stream) != 0  # its input is gone
    npu.expect_violation("after they were freed")
    tiny.close()
    for again in ("destroyed dataset", "destroyed data buffer", "freed before"):
        npu.expect_violation(again)
    tiny.close = lambda: None


def test_a_stream_is_not_destroyed_with_work_in_it(acl, npu, tiny):
    other, _ = acl.rt.create_stream()
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, other)
    acl.rt.destroy_stream(other)
    npu.expect_violation("rt.destroy_stream with work in it")


def test_two_threads_need_a_lock_for_one_model(acl, npu, tiny, stream):
    context, _ = acl.rt.get_context()
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream)
    thread = threading.Thread(target=lambda: (acl.rt.set_context(context), acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)))
    thread.start()
    thread.join()
    npu.expect_violation("two threads executed one model id at the same time")
    acl.rt.synchronize_stream(stream)
    thread = threading.Thread(target=lambda: (acl.rt.set_context(context), acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)))
    thread.start()
    thread.join()  # one after the other is right


def test_an_output_may_not_lie_where_an_input_lies(acl, npu, tiny):
    acl.update_data_buffer(tiny.buffers[2], tiny.addresses[0], tiny.sizes[0])
    acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)
    npu.expect_violation("output 0 shares its memory")


# datasets


def test_the_number_of_buffers_must_be_the_models(acl, tiny, stream):
    assert acl.mdl.get_dataset_num_buffers(tiny.inputs) == 2
    assert acl.mdl.get_dataset_buffer(tiny.inputs, 1) == tiny.buffers[1]
    assert acl.mdl.get_dataset_buffer(tiny.inputs, 2) == 0
    fewer, more = tiny.dataset(tiny.buffers[:1]), tiny.dataset(tiny.buffers[:3])
    for dataset in (fewer, more):
        assert acl.mdl.execute(tiny.id, dataset, tiny.outputs) == 145000
        assert acl.mdl.execute_async(tiny.id, dataset, tiny.outputs, stream) == 145000
        acl.mdl.destroy_dataset(dataset)


@BOTH_MODES
def test_a_buffer_may_be_64_bytes_too_small_and_too_large(acl, npu, tiny):
    size = tiny.sizes[0]
    for given, ret in ((size - 65, 145000), (size - 64, 0), (size, 0)):
        acl.update_data_buffer(tiny.buffers[0], tiny.addresses[0], given)
        assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == ret
    assert not npu.report.warnings
    acl.update_data_buffer(tiny.buffers[0], tiny.addresses[0], size + 1000)
    assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == 0
    assert npu.report.warnings == [f"x: a buffer of {size + 1000} bytes for {size}"]


def test_a_model_that_reads_beyond_an_allocation_is_told(acl, npu, tiny):
    address, _ = acl.rt.malloc(tiny.sizes[0] - 1, 0)
    acl.update_data_buffer(tiny.buffers[0], address, tiny.sizes[0])
    acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs)
    npu.expect_violation(f"use of {tiny.sizes[0]} bytes from 0 on of an allocation of {tiny.sizes[0] - 1}")
    acl.rt.free(address)


@BOTH_MODES
def test_a_model_works_on_device_memory_only(acl, npu, tiny):
    acl.update_data_buffer(tiny.buffers[0], X.ctypes.data, X.nbytes)
    assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == 507015
    npu.expect_violation("x: its buffer is no memory of the device")


def test_datasets_and_buffers_own_nothing(acl, npu, tiny):
    address, _ = acl.rt.malloc(64, 0)
    buffer = acl.create_data_buffer(address, 64)
    assert (acl.get_data_buffer_addr(buffer), acl.get_data_buffer_size(buffer)) == (address, 64)
    dataset = tiny.dataset([buffer])
    assert acl.mdl.destroy_dataset(dataset) == 0
    assert acl.get_data_buffer_size(buffer) == 64
    assert acl.destroy_data_buffer(buffer) == 0
    assert acl.rt.memset(address, 64, 0, 64) == acl.rt.free(address) == 0
    assert acl.create_data_buffer(0, 64) == 0
    acl.destroy_data_buffer(buffer)
    npu.expect_violation("a destroyed data buffer was used")
