"""The simulated pyACL's process, devices, contexts and types: what the documentation says of them, in both run modes."""

import importlib
import threading

import numpy as np
import pytest
from sim_acl.fixtures import BOTH_MODES
from sim_acl.program import device


@pytest.fixture
def acl(npu):
    return importlib.import_module("acl")


def in_thread(function, *arguments):
    """What it returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    thread.join()
    return results[0]


def test_a_second_init_and_a_second_finalize_are_refused_and_do_no_harm(acl):
    assert acl.init() == 0
    assert acl.init() == 100002
    assert acl.rt.set_device(0) == 0
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0
    assert acl.finalize() == 100037


def test_init_after_finalize_differs_between_versions_so_nobody_may_rely_on_it(acl, npu):
    acl.init("")
    acl.finalize()
    acl.init()
    npu.expect_violation("acl.init after acl.finalize")
    acl.finalize()


def test_nothing_touches_the_device_before_init(acl, npu):
    assert acl.rt.set_device(0) == 100001
    npu.expect_violation("rt.set_device without acl.init")


@pytest.mark.parametrize("npu", [{"devices": 2}], indirect=True)
def test_only_devices_that_are_there_can_be_set(acl):
    acl.init()
    assert acl.rt.get_device_count() == (2, 0)
    assert acl.rt.set_device(2) == acl.rt.set_device(-1) == 107001
    assert acl.rt.create_context(2) == (0, 107001)
    assert acl.rt.set_device(1) == 0
    assert acl.rt.reset_device(1) == 0
    acl.finalize()


@pytest.mark.parametrize("npu", [{"devices": 0}], indirect=True)
def test_a_machine_without_an_npu(acl):
    acl.init()
    assert acl.rt.get_device_count() == (0, 0)
    assert acl.rt.set_device(0) == 107001
    assert acl.get_soc_name() is None
    acl.finalize()


@pytest.mark.parametrize("npu", [{"run_mode": "DEVICE", "soc": "Ascend310"}], indirect=True)
def test_the_board_is_the_one_that_was_asked_for(acl, npu):
    assert acl.get_soc_name() == "Ascend310"
    assert acl.rt.get_run_mode() == (0, 0)
    npu.start()
    assert acl.get_soc_name() == "Ascend310B4"
    assert acl.rt.get_run_mode() == (1, 0)


@BOTH_MODES
def test_without_a_context_of_its_own_a_thread_can_do_nothing(acl):
    with device(acl):
        assert in_thread(acl.rt.create_stream) == (0, 107002)
        assert in_thread(acl.rt.malloc, 10, 0) == (0, 107002)
        assert in_thread(acl.rt.memcpy, 1, 1, 1, 1, 0) == 107002
        assert in_thread(acl.rt.get_context) == (0, 107002)


def test_the_default_context_is_shared_by_the_threads_that_set_the_device(acl):
    with device(acl):
        default, ret = acl.rt.get_context()
        assert default and ret == 0
        assert in_thread(lambda: (acl.rt.set_device(0), acl.rt.get_context())) == (0, (default, 0))
        assert acl.rt.reset_device(0) == 0  # that thread's; this one's use goes on
        assert acl.rt.get_context() == (default, 0)
        assert acl.rt.destroy_context(default) == 107002


def test_set_device_is_counted_and_the_last_reset_takes_the_default_context(acl):
    acl.init()
    acl.rt.set_device(0)
    acl.rt.set_device(0)
    acl.rt.reset_device(0)
    assert acl.rt.get_context()[1] == 0
    acl.rt.reset_device(0)
    assert acl.rt.get_context() == (0, 107002)
    acl.finalize()


def test_a_reset_too_many_is_told(acl, npu):
    acl.init()
    acl.rt.reset_device(0)
    npu.expect_violation("rt.reset_device without rt.set_device")
    acl.finalize()


def test_a_context_is_current_where_it_was_created_and_elsewhere_only_once_it_is_set(acl):
    with device(acl):
        context, ret = acl.rt.create_context(0)
        assert ret == 0 and acl.rt.get_context() == (context, 0)
        assert in_thread(acl.rt.get_context) == (0, 107002)
        assert in_thread(lambda: (acl.rt.set_context(context), acl.rt.get_context())) == (0, (context, 0))
        assert acl.rt.destroy_context(context) == 0
        assert acl.rt.create_stream() == (0, 107002)


def test_a_context_is_destroyed_once_and_0_is_none(acl):
    with device(acl):
        context, _ = acl.rt.create_context(0)
        assert acl.rt.destroy_context(context) == 0
        assert acl.rt.destroy_context(context) == 107002
        assert acl.rt.destroy_context(0) == acl.rt.set_context(0) == 100000


def test_a_stream_belongs_to_its_context(acl, npu):
    with device(acl) as stream:
        assert acl.rt.synchronize_stream(stream) == 0
        context, _ = acl.rt.create_context(0)
        assert acl.rt.synchronize_stream(stream) == 107003
        assert acl.rt.destroy_context(context) == 0
    npu.start()
    with device(acl) as stream:
        assert acl.rt.synchronize_stream(stream + 1) == acl.rt.destroy_stream(0) == 107017
        npu.expect_violation("unknown stream")


def test_what_is_left_at_the_end_is_told_by_kind(acl, npu):
    acl.init()
    acl.rt.set_device(0)
    acl.rt.create_context(0)
    acl.rt.create_stream()
    acl.rt.malloc(10, 0)
    acl.rt.malloc_host(10)
    acl.create_data_buffer(acl.rt.malloc(10, 0)[0], 10)
    acl.mdl.create_dataset()
    acl.mdl.create_desc()
    acl.finalize()
    for what in (
        "1 of device",
        "2 of context",
        "1 of stream",
        "2 of memory",
        "1 of host memory",
        "1 of data buffer",
        "1 of dataset",
        "1 of desc",
    ):
        npu.expect_violation(f"acl.finalize while {what} are held")


def test_the_order_of_giving_back_is_watched(acl, npu):
    with device(acl) as stream:
        context, _ = acl.rt.create_context(0)
        other, _ = acl.rt.create_stream()
        address, _ = acl.rt.malloc(10, 0)
        acl.rt.destroy_context(context)
        npu.expect_violation("rt.destroy_context with a stream in it")
        acl.rt.reset_device(0)
        npu.expect_violation("rt.reset_device while 2 of stream are held")
        npu.expect_violation("rt.reset_device while 1 of memory are held")
        acl.rt.destroy_stream(stream)
        acl.rt.destroy_stream(other)
        acl.rt.free(address)
    npu.expect_violation("destroyed stream")
    npu.expect_violation("rt.reset_device without")


@pytest.mark.parametrize("wrong", [None, 1.0, np.int64(64), "64"])
def test_a_wrong_type_is_a_type_error_and_no_code(acl, wrong):
    with device(acl):
        with pytest.raises(TypeError, match=r"acl\.rt\.malloc args parse failed"):
            acl.rt.malloc(wrong, 0)
        with pytest.raises(TypeError, match=r"acl\.mdl\.unload args parse failed"):
            acl.mdl.unload(wrong)


def test_arguments_are_positional_and_complete(acl):
    with device(acl):
        with pytest.raises(TypeError):
            acl.rt.malloc(size=64, policy=0)
        with pytest.raises(TypeError, match="args parse failed"):
            acl.rt.malloc(64)
        with pytest.raises(TypeError, match="args parse failed"):
            acl.mdl.load_from_file(b"a.om")


FUNCTIONS = """
init finalize get_soc_name create_data_buffer destroy_data_buffer update_data_buffer get_data_buffer_addr get_data_buffer_size
rt.create_context rt.create_stream rt.get_run_mode rt.get_context rt.get_device_count rt.malloc rt.malloc_host rt.get_mem_info
rt.set_device rt.reset_device rt.set_context rt.destroy_context rt.destroy_stream rt.synchronize_stream rt.free rt.free_host rt.memset
rt.memcpy rt.memcpy_async mdl.load_from_file mdl.load_from_mem mdl.query_size mdl.load_from_file_with_mem mdl.get_input_index_by_name
mdl.get_output_index_by_name mdl.add_dataset_buffer mdl.get_input_dims mdl.get_output_dims mdl.unload mdl.get_desc mdl.destroy_desc
mdl.destroy_dataset mdl.execute mdl.execute_async mdl.create_desc mdl.create_dataset mdl.get_dataset_buffer mdl.get_dataset_num_buffers
mdl.get_num_inputs mdl.get_num_outputs mdl.get_input_size_by_index mdl.get_output_size_by_index mdl.get_input_data_type
mdl.get_output_data_type mdl.get_input_format mdl.get_output_format mdl.get_input_name_by_index mdl.get_output_name_by_index
util.bytes_to_ptr util.ptr_to_bytes util.numpy_to_ptr util.ptr_to_numpy
"""


def test_every_documented_function_is_there_and_no_constant(acl):
    parts = {"": acl, "rt.": acl.rt, "mdl.": acl.mdl, "util.": acl.util}
    public = {prefix + name for prefix, part in parts.items() for name in dir(part) if hasattr(getattr(part, name), "__wrapped__")}
    assert public == set(FUNCTIONS.split())
    numbers = [name for part in parts.values() for name in dir(part) if isinstance(getattr(part, name), int)]
    assert not numbers


def test_calls_are_counted_until_the_counts_are_forgotten(acl, npu):
    with device(acl):
        acl.rt.malloc(0, 0)
        assert npu.report.calls["rt.malloc"] == 1 and npu.report.applied["stream"] == 1
        npu.report.forget_counts()
        assert npu.report.calls["rt.malloc"] == npu.report.applied["stream"] == 0
        assert npu.report.held["stream"] == 1


def test_there_is_no_acl_unless_a_test_asks_for_it():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("acl")


def test_another_module_of_that_name_can_be_had(wrong_acl):
    assert not hasattr(importlib.import_module("acl"), "rt")
