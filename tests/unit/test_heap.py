"""What becomes of a freed picture's memory, asked of glibc itself in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PICTURE_BYTES = 800 * 450 * 3
ASK = f"""
import ctypes, sys
import numpy as np
from poselift.app.processes import heap
if sys.argv[1] != "as_glibc_does":
    getattr(heap, sys.argv[1])()
class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
for _ in range(3):
    before = libc.mallinfo2().hblkhd
    picture = np.empty({PICTURE_BYTES}, np.uint8)
    print(libc.mallinfo2().hblkhd - before >= {PICTURE_BYTES}, end=" ")
    del picture
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc's mallinfo2, which this C library has not (2.33)")
@pytest.mark.parametrize(
    ("chosen", "apart"),
    [
        ("keep_freed_memory", [False, False, False]),
        ("return_freed_memory", [True, True, True]),
        ("as_glibc_does", [True, False, False]),  # what both are there against
    ],
)
def test_pictures_come_from_the_kernel_or_from_the_heap(chosen: str, apart: list[bool]) -> None:
    said = subprocess.run([sys.executable, "-c", ASK, chosen], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(value) for value in apart]
