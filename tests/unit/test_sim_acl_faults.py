"""Faults of the simulated NPU strike the calls that they are meant for, as often as asked for, and everything can be given back after."""

import importlib
import threading

import numpy as np
import pytest
from sim_acl.fixtures import BOTH_MODES
from sim_acl.program import Loaded, device
from sim_acl.tiny import ROWS, tiny_om


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
        tiny.put(0, np.ones((ROWS, 3), np.float32))
        tiny.put(1, np.ones((ROWS, 1), bool))
        yield tiny


def run(acl, tiny, stream):
    """The codes of an execution and of waiting for it."""
    return acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream), acl.rt.synchronize_stream(stream)


def test_an_allocation_that_fails(acl, npu, stream):
    with npu.faults.begin(207001, on="rt.malloc", times=2) as fault:
        assert [acl.rt.malloc(64, 0) for _ in range(2)] == [(0, 207001)] * 2
        address, ret = acl.rt.malloc(64, 0)
        assert ret == acl.rt.free(address) == 0
        assert len(fault.hits) == 2


@BOTH_MODES
@pytest.mark.parametrize("code", [507011, 507014, 507015])
def test_an_execution_that_fails_is_told_by_the_wait_and_gives_garbage(acl, npu, tiny, stream, code):
    assert run(acl, tiny, stream) == (0, 0)
    with npu.faults.begin(code, on="rt.synchronize_stream", model="tiny"):
        assert run(acl, tiny, stream) == (0, code)
        assert np.isnan(tiny.get(0)).all()
        assert run(acl, tiny, stream) == (0, 0)
    with npu.faults.begin(code, on="mdl.execute_async"):
        assert run(acl, tiny, stream) == (code, 0)
    with npu.faults.begin(code, on="mdl.execute"):
        assert acl.mdl.execute(tiny.id, tiny.inputs, tiny.outputs) == code


def test_after_a_failed_execution_nothing_is_in_flight(acl, npu, tiny, stream):
    with npu.faults.begin(507015, on="rt.synchronize_stream"):
        run(acl, tiny, stream)
    tiny.put(0, np.ones((ROWS, 3), np.float32))  # would be a violation


def test_a_fault_is_for_one_model_and_ends_when_it_is_ended(acl, npu, tiny, stream, tmp_path):
    with npu.faults.begin(507015, on="mdl.load_from_file", model="other", times=None) as fault:
        assert acl.mdl.load_from_file(tiny_om(tmp_path, "other")) == (0, 507015)
        model, ret = acl.mdl.load_from_file(str(tmp_path / "tiny.om"))
        assert ret == acl.mdl.unload(model) == 0
    assert len(fault.hits) == 1
    model, ret = acl.mdl.load_from_file(str(tmp_path / "other.om"))
    assert ret == acl.mdl.unload(model) == 0


@BOTH_MODES
def test_a_hang_lasts_until_it_is_ended(acl, npu, tiny, stream):
    context, _ = acl.rt.get_context()
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream)
    codes = []
    with npu.faults.begin("hang", on="rt.synchronize_stream") as fault:
        thread = threading.Thread(target=lambda: codes.append((acl.rt.set_context(context), acl.rt.synchronize_stream(stream))))
        thread.start()
        fault.wait()
        assert acl.rt.malloc(0, 0) == (0, 100000)  # others go on
        assert not codes
    thread.join()
    assert codes == [(0, 0)]


@BOTH_MODES
def test_a_device_that_disappears_fails_everything_and_everything_can_be_given_back(acl, npu, tmp_path):
    acl.init()
    acl.rt.set_device(0)
    stream, _ = acl.rt.create_stream()
    tiny = Loaded(acl, tiny_om(tmp_path))
    acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream)
    with npu.faults.begin("gone") as fault:
        assert acl.rt.get_device_count() == (0, 0)
        assert acl.get_soc_name() is None
        assert acl.rt.set_device(0) == 107001
        assert acl.rt.malloc(10, 0)[1] == acl.rt.synchronize_stream(stream) == acl.rt.memset(tiny.y, 4, 0, 4) == 507899
        assert acl.mdl.execute_async(tiny.id, tiny.inputs, tiny.outputs, stream) == 507899
        assert len(fault.hits) == 1
        tiny.close()
        assert acl.rt.destroy_stream(stream) != 0
        assert acl.rt.reset_device(0) != 0
        assert acl.finalize() == 0
    assert not any(npu.report.held.values())


def test_a_context_from_before_the_device_disappeared_is_lost_a_new_one_is_not(acl, npu):
    acl.init()
    acl.rt.set_device(0)
    stream, _ = acl.rt.create_stream()
    with npu.faults.begin("gone"):
        assert acl.rt.create_stream()[1] == 507899
    assert acl.rt.create_stream()[1] == 507899
    acl.rt.destroy_stream(stream)
    acl.rt.reset_device(0)
    assert acl.rt.set_device(0) == 0
    other, ret = acl.rt.create_stream()
    assert ret == acl.rt.destroy_stream(other) == acl.rt.reset_device(0) == acl.finalize() == 0


def test_waiting_for_a_fault_that_never_strikes_fails(npu):
    with npu.faults.begin(507015, on="rt.malloc") as fault, pytest.raises(AssertionError, match="nothing was struck"):
        fault.wait(timeout_s=0)
