"""`acl.util`: between Python's objects and addresses."""

from __future__ import annotations

import ctypes

import numpy as np
from acl_simulator.entry import bare, entry
from acl_simulator.errors import WouldCrash
from acl_simulator.memory import host_bytes
from acl_simulator.npu import npu

DTYPES = {np.dtype(kind).num: np.dtype(kind) for kind in "?bBhHiIlLqQefd"}
"""numpy's numbers of types, NPY_FLOAT and so on."""


@entry(bytes, gives=bare(0))
def bytes_to_ptr(content):
    return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value


@entry(int, int, gives=bare(b""))
def ptr_to_bytes(address, size):
    _check_readable(address)
    return host_bytes(address, size).tobytes()


@entry(np.ndarray, gives=bare(0))
def numpy_to_ptr(array):
    if not array.flags.c_contiguous:
        npu().report.violation("util.numpy_to_ptr of an array that is not contiguous")
    return array.ctypes.data


@entry(int, tuple, int, gives=bare(None))
def ptr_to_numpy(address, shape, numpy_type):
    _check_readable(address)
    dtype = DTYPES[numpy_type]
    return host_bytes(address, int(np.prod(shape)) * dtype.itemsize).view(dtype).reshape(shape)


def _check_readable(address):
    if not address or not npu().memory.readable_by_host(address):
        npu().report.violation(f"the host reads at {address:#x}, which is no address of its memory")
        raise WouldCrash(f"the host reads at {address:#x}")
