"""The simulated pyACL's memory: allocation, copies by what really lies where, and misuse that the real library would not report."""

import importlib

import numpy as np
import pytest
from sim_acl.fixtures import BOTH_MODES
from sim_acl.program import copy, device

H2H, H2D, D2H, D2D = range(4)


@pytest.fixture
def acl(npu):
    return importlib.import_module("acl")


@pytest.fixture
def stream(acl):
    with device(acl) as stream:
        yield stream


@pytest.fixture
def block(acl, stream):
    """The address of 64 bytes on the device."""
    address, ret = acl.rt.malloc(64, 0)
    assert ret == 0
    yield address
    acl.rt.free(address)


def test_nothing_is_not_allocated(acl, stream):
    assert acl.rt.malloc(0, 0) == acl.rt.malloc(-1, 0) == acl.rt.malloc_host(0) == (0, 100000)


@BOTH_MODES
def test_addresses_are_aligned_and_sizes_rounded_up(acl, stream):
    free_bytes = acl.rt.get_mem_info(0)[0]
    addresses = [acl.rt.malloc(size, 0)[0] for size in (1, 33, 64)]
    assert all(address % 64 == 0 for address in addresses)
    assert free_bytes - acl.rt.get_mem_info(0)[0] == (32 + 32) + (64 + 32) + (64 + 32)
    for address in addresses:
        assert acl.rt.free(address) == 0
    assert acl.rt.get_mem_info(0) == (free_bytes, 4 << 30, 0)


@BOTH_MODES
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_new_memory_is_not_zero_but_nan(acl, block, dtype):
    array = np.zeros(8, dtype)
    copy(acl, array.ctypes.data, block, array.nbytes, "d2h")
    assert np.isnan(array).all()


@pytest.mark.parametrize("npu", [{"memory_bytes": 1000}], indirect=True)
def test_more_than_there_is_is_not_allocated(acl, stream):
    address, ret = acl.rt.malloc(800, 0)
    assert ret == 0
    assert acl.rt.malloc(200, 0) == (0, 207001)
    acl.rt.free(address)
    address, ret = acl.rt.malloc(200, 0)
    assert ret == 0
    acl.rt.free(address)


@BOTH_MODES
def test_what_is_copied_to_the_device_comes_back_and_is_counted_by_where_it_lies(acl, npu, block):
    there, back = np.arange(16, dtype=np.float32), np.zeros(12, np.float32)
    copy(acl, block, there.ctypes.data, 64, "h2d")
    copy(acl, block, block + 16, 16, "d2d")
    copy(acl, back.ctypes.data, block, 48, "d2h")
    assert back.tolist() == [4, 5, 6, 7, *range(4, 12)]
    assert acl.rt.memcpy(back.ctypes.data, 8, there.ctypes.data, 8, H2H) == 0
    assert npu.report.copied_bytes == {"h2d": 64, "d2d": 16, "d2h": 48, "h2h": 8}


@pytest.mark.parametrize("kind", [H2H, D2H, D2D])
def test_in_host_mode_the_kind_of_copy_must_be_right(acl, npu, block, kind):
    array = np.zeros(64, np.uint8)
    assert acl.rt.memcpy(block, 64, array.ctypes.data, 64, kind) != 0
    npu.expect_violation(f"memcpy of kind {kind} where the copy is h2d in run mode HOST")


@pytest.mark.parametrize("npu", [{"run_mode": "DEVICE"}], indirect=True)
@pytest.mark.parametrize("kind", [H2D, D2H])
def test_in_device_mode_the_kinds_that_are_not_established_are_told(acl, npu, block, kind):
    array = np.zeros(64, np.uint8)
    acl.rt.memcpy(block, 64, array.ctypes.data, 64, kind)
    npu.expect_violation(f"memcpy of kind {kind}")


@BOTH_MODES
def test_a_copy_needs_room_two_addresses_and_a_kind_that_there_is(acl, block):
    array = np.zeros(64, np.uint8)
    kind = H2D if acl.rt.get_run_mode() == (1, 0) else D2D
    assert acl.rt.memcpy(block, 63, array.ctypes.data, 64, kind) == 107000
    assert acl.rt.memcpy(block, 64, array.ctypes.data, 0, kind) == 0
    assert acl.rt.memcpy(0, 64, array.ctypes.data, 64, kind) == acl.rt.memcpy(block, 64, 0, 64, kind) == 100000
    assert acl.rt.memcpy(block, 64, array.ctypes.data, 64, 4) == acl.rt.memcpy(block, 64, array.ctypes.data, 64, -1) == 100000
    assert acl.rt.memset(0, 64, 0, 64) == acl.rt.free(0) == acl.rt.free_host(0) == 100000


def test_memset_fills_no_more_than_there_is_room_for(acl, block):
    array = np.ones(64, np.uint8)
    assert acl.rt.memset(block, 32, 0, 33) == 107000
    assert acl.rt.memset(block, 32, 7, 32) == 0
    copy(acl, array.ctypes.data, block, 64, "d2h")
    assert array.tolist() == [7] * 32 + [255] * 32


def test_a_copy_in_a_stream_is_done_when_the_stream_is_waited_for(acl, npu, stream, block):
    array = np.zeros(64, np.uint8)
    assert acl.rt.memcpy_async(block, 64, array.ctypes.data, 64, H2D, stream) == 0
    assert npu.report.copied_bytes["h2d"] == 0
    array[:] = 9
    assert acl.rt.synchronize_stream(stream) == 0
    array[:] = 0
    copy(acl, array.ctypes.data, block, 64, "d2h")
    assert (array == 9).all()


@BOTH_MODES
def test_what_lies_beyond_an_allocation_is_out_of_bounds(acl, npu, block):
    array = np.zeros(80, np.uint8)
    kind = H2D if acl.rt.get_run_mode() == (1, 0) else D2D
    acl.rt.memcpy(block + 32, 64, array.ctypes.data, 64, kind)
    npu.expect_violation("use of 64 bytes from 32 on of an allocation of 64")
    acl.rt.memset(block, 65, 0, 65)
    npu.expect_violation("use of 65 bytes from 0 on of an allocation of 64")


@BOTH_MODES
def test_use_after_free_and_double_free_are_told(acl, npu, stream):
    address, _ = acl.rt.malloc(64, 0)
    assert acl.rt.free(address) == 0
    acl.rt.memset(address, 64, 0, 64)
    npu.expect_violation("64 bytes of device memory after they were freed")
    acl.rt.free(address)
    npu.expect_violation("free of 64 bytes that were freed before")
    other, _ = acl.rt.malloc(64, 0)
    assert other != address
    acl.rt.free(other + 32)
    npu.expect_violation("free of an address that no allocation gave")
    acl.rt.free_host(other)
    npu.expect_violation("free of device memory with the function for host memory")
    acl.rt.free(other)


def test_freed_memory_does_not_keep_what_it_held(acl, stream):
    address, _ = acl.rt.malloc_host(4)
    view = acl.util.ptr_to_numpy(address, (4,), np.dtype(np.uint8).num)
    view[:] = 5
    acl.rt.free_host(address)
    assert (view == 255).all()


def test_in_host_mode_device_memory_is_not_the_hosts(acl, npu, block):
    crash = pytest.raises(Exception, match="the host reads at")
    with crash:
        acl.util.ptr_to_bytes(block, 4)
    with crash:
        acl.util.ptr_to_numpy(block, (4,), 1)
    npu.expect_violation("which is no address of its memory")
    assert block >= 1 << 52


@pytest.mark.parametrize("npu", [{"run_mode": "DEVICE"}], indirect=True)
def test_in_device_mode_device_memory_is_ordinary_and_there_is_no_other(acl, npu, block):
    acl.util.ptr_to_numpy(block, (64,), np.dtype(np.uint8).num)[:] = 3
    assert acl.util.ptr_to_bytes(block, 64) == b"\3" * 64
    acl.rt.malloc_host(64)
    npu.expect_violation("rt.malloc_host in run mode DEVICE")


def test_an_address_on_the_device_that_nobody_allocated(acl, npu, block):
    acl.rt.memset(block + (1 << 20), 4, 0, 4)
    npu.expect_violation("which is no address on the device")


def test_pointers_are_the_objects_own_data(acl, npu):
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert acl.util.numpy_to_ptr(array) == array.ctypes.data
    text = b"0123456789"
    address = acl.util.bytes_to_ptr(text)
    assert acl.util.ptr_to_bytes(address, 10) == text
    view = acl.util.ptr_to_numpy(array.ctypes.data, (3, 2), array.dtype.num)
    array[0, 1] = 77
    assert view.tolist() == [[0, 77], [2, 3], [4, 5]] and not view.flags.owndata
    acl.util.numpy_to_ptr(array.T)
    npu.expect_violation("not C-contiguous")


def test_the_owner_of_an_address_must_live_and_be_large_enough(acl, npu, block):
    array = np.zeros(32, np.uint8)
    address = acl.util.numpy_to_ptr(array)
    acl.rt.memcpy(block, 64, address, 33, H2D)
    npu.expect_violation("use of 33 bytes of an array of 32")
    assert acl.rt.memcpy(block, 64, address, 32, H2D) == 0
    del array
    acl.rt.memcpy(block, 64, address, 1, H2D)
    npu.expect_violation("an array that is gone")
