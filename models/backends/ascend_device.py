"""The NPU as one process has it: one device, one context, one stream, shared by all the process's networks.

Not run on hardware: checked against tests/sim_acl.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from poselift.common.arrays import Array
from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends import pyacl
from poselift.models.backends.pyacl_codes import INVALID_DEVICE, NO_DEVICE, TO_MEND


class Releases:
    """What has to be given back, in the reverse order of its having been taken."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[[int], None], int]] = []

    def add(self, call: Callable[[int], None], handle: int) -> int:
        """Have `call(handle)` made at the end; gives the handle back."""
        self._calls.append((call, handle))
        return handle

    def run(self) -> None:
        """Give everything back, also what comes after a call that is refused. Raises the first DeviceError."""
        first = None
        while self._calls:
            call, handle = self._calls.pop()
            try:
                call(handle)
            except DeviceError as error:
                first = first or error
        if first:
            raise first


class Device:
    """An NPU that is in use, from `open` to `close`. Any thread may use it, one at a time: hold `lock`, and call `enter` first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.users = 0
        self.lock = threading.RLock()
        self._releases = Releases()
        try:
            self._open()
        except pyacl.AclError as error:
            reason = _to_mend(error)
            self.abandon()
            if reason:
                raise ModelError(f"npu.device {number}: {reason}") from None
            raise
        except BaseException:
            self.abandon()
            raise

    def enter(self) -> None:
        """Make the device's context the calling thread's, whatever other code of this process has made of it."""
        pyacl.set_context(self._context)

    def allocate(self, size_bytes: int, releases: Releases) -> int:
        """The address of so many bytes of the device's memory, all 0."""
        address = releases.add(pyacl.free, pyacl.malloc(size_bytes))
        pyacl.zero(address, size_bytes)
        return address

    def upload(self, array: Array, address: int) -> None:
        """Copy a contiguous array into the device's memory."""
        kind = pyacl.DEVICE_TO_DEVICE if self._shared else pyacl.HOST_TO_DEVICE
        pyacl.copy(address, array.nbytes, array.ctypes.data, array.nbytes, kind)

    def download(self, address: int, array: Array) -> None:
        """Fill a contiguous array from the device's memory."""
        kind = pyacl.DEVICE_TO_DEVICE if self._shared else pyacl.DEVICE_TO_HOST
        pyacl.copy(array.ctypes.data, array.nbytes, address, array.nbytes, kind)

    def execute(self, model: int, inputs: int, outputs: int) -> None:
        """Run a loaded model on the buffers of two datasets. Other threads of this process go on meanwhile."""
        pyacl.execute_async(model, inputs, outputs, self._stream)
        pyacl.synchronize_stream(self._stream)

    def close(self) -> None:
        """Give the device back. Raises DeviceError where it refuses."""
        self._releases.add(lambda _: self.enter(), 0)
        self._releases.run()

    def abandon(self) -> None:
        """Give back what can be: the device has failed, and why is known already."""
        with contextlib.suppress(DeviceError):
            self._releases.run()

    def _open(self) -> None:
        if pyacl.init():
            self._releases.add(lambda _: pyacl.finalize(), 0)
        pyacl.set_device(self.number)
        self._releases.add(pyacl.reset_device, self.number)
        self._context = self._releases.add(pyacl.destroy_context, pyacl.create_context(self.number))
        self._stream = self._releases.add(pyacl.destroy_stream, pyacl.create_stream())
        self._shared = pyacl.run_mode() == pyacl.RUN_ON_DEVICE
        self.soc = pyacl.soc_name()


_lock = threading.Lock()
_device: Device | None = None


def acquire(number: int) -> Device:
    """This process's device, opened by the first who asks. Raises ModelError where there is none of that number; DeviceError."""
    global _device
    with _lock:
        if _device is None:
            _device = Device(number)
        elif _device.number != number:
            raise ModelError(f"npu.device {number}: this process uses NPU {_device.number} already; one process uses one")
        _device.users += 1
        return _device


def release(device: Device) -> None:
    """Done with a device that `acquire` gave; the last one closes it."""
    global _device
    with _lock:
        device.users -= 1
        if not device.users:
            _device = None
            device.close()


def _to_mend(error: pyacl.AclError) -> str:
    """What keeps the device from being had until a user mends it; empty where it may do better for whoever tries again."""
    if error.code in (INVALID_DEVICE, NO_DEVICE):
        return _there_are()
    return str(error) if error.code in TO_MEND else ""


def _there_are() -> str:
    try:
        count = pyacl.device_count()
    except DeviceError:
        count = 0
    if not count:
        return "this machine's driver shows no NPU; poselift doctor tells what is missing"
    return f"the driver shows {count}, numbered from 0"
