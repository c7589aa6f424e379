"""Which container has a device: its driver takes a process for a container by its mount namespace, and lets one container have a device.

Huawei's documentation of the Atlas 200I A2 says so of every process that is not root's and has another mount namespace than process 1, also
outside of what is usually called a container. It has the device until it ends; others of the same namespace may use it too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from acl_simulator import codes
from acl_simulator.errors import AclError


class Container:
    """What this process is to the driver."""

    def __init__(self, host_namespace: int, beside: Path | None) -> None:
        self._host_namespace = host_namespace
        self._beside = beside
        """All processes with the same one see the same devices."""
        self._has: set[int] = set()

    def take(self, device: int) -> None:
        """Have a device until this process ends. Raises AclError where another container has it."""
        here = Path("/proc/self/ns/mnt").stat().st_ino
        if not self._host_namespace or here == self._host_namespace or os.geteuid() == 0 or device in self._has:
            return
        assert self._beside
        file = os.open(f"{self._beside}.device{device}", os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, str(here).encode(), 0)
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.pread(file, 100, 0) != str(here).encode():
            os.close(file)
            raise AclError(codes.DEVICE_SETUP)
        self._has.add(device)  # the file stays open, and locked, to the end
