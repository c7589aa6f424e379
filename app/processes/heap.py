"""What becomes of a freed picture's memory, where the C library is glibc: kept for the next picture, or returned to the kernel at once.

glibc itself does the one at first and the other later, since it raises its threshold when a large block is freed (mallopt(3)).
"""

from __future__ import annotations

import ctypes
import sys

KEPT_BYTES = 32 << 20
"""The largest M_MMAP_THRESHOLD that glibc takes: a 4K picture is 25 MB."""
RETURNED_BYTES = 128 << 10
"""glibc's threshold until it raises it: pictures are larger."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """For who decodes or copies every picture, and holds little else: the next one takes the same memory.

    A block that is returned comes back filled with zeros by the kernel: 850 page faults, or 2 ms of 6.5, for decoding one of 1768x994.
    """
    _mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
    _mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def return_freed_memory() -> None:
    """For who shows a few pictures a second among many small things that stay: these settle in a freed picture's place, and the next one
    does not fit there any more, so that the heap grows by a picture now and then."""
    _mallopt(_M_MMAP_THRESHOLD, RETURNED_BYTES)


def _mallopt(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(option, value)
