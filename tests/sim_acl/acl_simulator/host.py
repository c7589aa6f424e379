"""The numpy arrays whose addresses `util.numpy_to_ptr` told: pyACL keeps none of them alive."""

from __future__ import annotations

import weakref

import numpy as np

from acl_simulator.report import Report


class HostArrays:
    """Arrays by their addresses."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._arrays: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}

    def tell(self, array: np.ndarray) -> int:
        """The array's address."""
        if not array.flags.c_contiguous:
            self._report.violation("util.numpy_to_ptr of an array that is not C-contiguous")
        self._arrays[array.ctypes.data] = weakref.ref(array), array.nbytes
        return array.ctypes.data

    def check(self, address: int, count: int) -> None:
        """It is a violation to use an array's address when the array is gone, or more of it than there is."""
        if address in self._arrays:
            array, size = self._arrays[address]
            if array() is None:
                self._report.violation("use of the address of an array that is gone")
            elif count > size:
                self._report.violation(f"use of {count} bytes of an array of {size}")
