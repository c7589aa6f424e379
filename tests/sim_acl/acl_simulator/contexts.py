"""Devices and contexts: which of them a thread works in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acl_simulator import codes
from acl_simulator.errors import AclError
from acl_simulator.handles import Handles

if TYPE_CHECKING:
    from acl_simulator.npu import Npu


@dataclass
class Context:
    device: int
    default: bool
    losses: int
    """How often the device had disappeared when the context was made: what is older than the last time is lost."""


@dataclass
class Device:
    uses: int
    context: int
    """The default one's handle."""


class Contexts:
    """The contexts of all threads."""

    def __init__(self, npu: Npu) -> None:
        self._npu = npu
        self._contexts: Handles[Context] = Handles(npu.report, "context")
        self._devices: dict[int, Device] = {}
        self._here = threading.local()

    def set_device(self, number: int) -> None:
        self._check_device(number)
        self._npu.container.take(number)
        if number not in self._devices:
            self._devices[number] = Device(0, self._contexts.add(Context(number, True, self._npu.faults.losses)))
        self._devices[number].uses += 1
        self._npu.report.apply("device")
        self._here.context = self._devices[number].context

    def reset_device(self, number: int) -> None:
        if number not in self._devices:
            self._npu.report.violation("rt.reset_device without rt.set_device")
            raise AclError(codes.INVALID_DEVICE)
        device = self._devices[number]
        device.uses -= 1
        self._npu.report.release("device")
        if device.uses:
            return
        self._contexts.remove(device.context, codes.NO_CONTEXT)
        del self._devices[number]
        if not self._devices:
            self._npu.must_be_gone("rt.reset_device", "model", "stream", "memory", "context")

    def create(self, number: int) -> int:
        self._check_device(number)
        if number not in self._devices:
            self._npu.report.violation("rt.create_context before rt.set_device")
        self._here.context = self._contexts.add(Context(number, False, self._npu.faults.losses))
        return self._here.context

    def destroy(self, handle: int) -> None:
        if not handle:
            raise AclError(codes.INVALID_PARAM)
        if handle not in self._contexts or self._contexts.find(handle, codes.NO_CONTEXT).default:
            raise AclError(codes.NO_CONTEXT)
        for kind in self._npu.left_in(handle):
            self._npu.report.violation(f"rt.destroy_context with a {kind} in it")
        self._contexts.remove(handle, codes.NO_CONTEXT)

    def set(self, handle: int) -> None:
        if not handle:
            raise AclError(codes.INVALID_PARAM)
        self._contexts.find(handle, codes.NO_CONTEXT)
        self._here.context = handle

    def current(self) -> int:
        """The calling thread's, or AclError(107002)."""
        handle = getattr(self._here, "context", 0)
        if handle not in self._contexts:
            raise AclError(codes.NO_CONTEXT)
        return handle

    def lost(self) -> bool:
        """Whether the calling thread's context was made before its device disappeared, even if it is back."""
        handle = getattr(self._here, "context", 0)
        return handle in self._contexts and self._contexts.find(handle, codes.NO_CONTEXT).losses < self._npu.faults.losses

    def _check_device(self, number: int) -> None:
        if number not in range(self._npu.settings.devices):
            raise AclError(codes.INVALID_DEVICE)
