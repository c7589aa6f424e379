"""`acl.util`: between Python's objects and addresses."""

from __future__ import annotations

import ctypes
import math

import numpy as np
from acl_simulator import memory
from acl_simulator.entry import bare, entry
from acl_simulator.errors import WouldCrash
from acl_simulator.npu import npu

_DTYPES = {np.dtype(kind).num: np.dtype(kind) for kind in "?bBhHiIlLqQefd"}
"""numpy's numbers of types, NPY_FLOAT and so on."""


@entry(bytes, gives=bare(0))
def bytes_to_ptr(content):
    return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value


@entry(int, int, gives=bare(b""))
def ptr_to_bytes(address, size):
    return _readable(address, size).tobytes()


@entry(np.ndarray, gives=bare(0))
def numpy_to_ptr(array):
    return npu().memory.arrays.tell(array)


@entry(int, tuple, int, gives=bare(None))
def ptr_to_numpy(address, shape, numpy_type):
    dtype = _DTYPES[numpy_type]
    return _readable(address, math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape)


def _readable(address, count):
    """Memory that this process can read by itself."""
    if not address or address >= memory.DEVICE_ADDRESSES:
        npu().report.violation(f"the host reads at {address:#x}, which is no address of its memory")
        raise WouldCrash(f"the host reads at {address:#x}")
    return npu().memory.bytes_at(address, count)
