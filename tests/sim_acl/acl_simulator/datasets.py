"""Data buffers (an address with a size) and datasets (lists of them). They own no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acl_simulator import codes
from acl_simulator.errors import AclError
from acl_simulator.handles import Handles
from acl_simulator.streams import Span

if TYPE_CHECKING:
    from acl_simulator.npu import Npu


class Datasets:
    """All datasets and data buffers."""

    def __init__(self, npu: Npu) -> None:
        self._npu = npu
        self._buffers: Handles[list[int]] = Handles(npu.report, "data buffer")
        self._datasets: Handles[list[int]] = Handles(npu.report, "dataset")

    def create_buffer(self, address: int, size: int) -> int:
        if not address or size <= 0:
            raise AclError(codes.INVALID_PARAM)
        return self._buffers.add([address, size])

    def destroy_buffer(self, handle: int) -> None:
        self._refuse_in_flight(handle, "a data buffer was destroyed")
        self._buffers.remove(handle, codes.INVALID_PARAM)

    def update_buffer(self, handle: int, address: int, size: int) -> None:
        if not address or size <= 0:
            raise AclError(codes.INVALID_PARAM)
        self._refuse_in_flight(handle, "a data buffer was updated")
        self._buffers.find(handle, codes.INVALID_PARAM)[:] = address, size

    def span(self, buffer: int) -> Span:
        return Span(*self._buffers.find(buffer, codes.INVALID_PARAM))

    def create(self) -> int:
        return self._datasets.add([])

    def destroy(self, handle: int) -> None:
        self._refuse_in_flight(handle, "a dataset was destroyed")
        self._datasets.remove(handle, codes.INVALID_PARAM)

    def add(self, handle: int, buffer: int) -> int:
        self._buffers.find(buffer, codes.INVALID_PARAM)
        self._datasets.find(handle, codes.INVALID_PARAM).append(buffer)
        return handle

    def buffers(self, handle: int) -> list[int]:
        """The handles in a dataset."""
        return list(self._datasets.find(handle, codes.INVALID_PARAM))

    def _refuse_in_flight(self, handle: int, what: str) -> None:
        if self._npu.flight.has(handle):
            self._npu.report.violation(f"{what} while an execution was in flight that uses it")
