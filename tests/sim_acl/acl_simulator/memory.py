"""Device memory, memory for the host that pyACL allocates, and copies.

In run mode HOST device addresses are numbers beyond any address of a process: only these functions reach what they stand for. In run
mode DEVICE device memory is ordinary memory. Nothing is zeroed: new and freed memory is full of 0xFF, which is NaN in float16 and
float32. No address is used twice, so that use after free is known as such.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acl_simulator import codes
from acl_simulator.errors import AclError
from acl_simulator.host import HostArrays

if TYPE_CHECKING:
    from acl_simulator.npu import Npu

GARBAGE = 0xFF
DEVICE_ADDRESSES = 1 << 52
"""From here on: user space ends at 2^47 on x86_64 and at 2^48 on aarch64."""
GUARD_BYTES = 4096
POLICIES = range(6)
Bytes = np.ndarray


@dataclass
class Block:
    """One allocation. What lies beyond `size` was not asked for, whatever the allocator adds."""

    where: str
    address: int
    size: int
    content: Bytes
    free: bool = False

    @property
    def capacity(self) -> int:
        return capacity(self.size)

    @property
    def end(self) -> int:
        return self.address + self.size


def capacity(size: int) -> int:
    """What an allocation of `size` bytes takes: "aclrtMalloc" aligns to 32 and adds 32."""
    return (size + 31) // 32 * 32 + 32


def host_bytes(address: int, count: int) -> Bytes:
    """`count` bytes of this process."""
    return np.frombuffer((ctypes.c_char * count).from_address(address), np.uint8)


class Memory:
    """All allocations, also the freed ones."""

    def __init__(self, npu: Npu) -> None:
        self._npu = npu
        self.arrays = HostArrays(npu.report)
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        self._next = DEVICE_ADDRESSES
        self._reserved_bytes = 0

    # allocation

    @property
    def free_bytes(self) -> int:
        """What is left on the device."""
        taken = sum(block.capacity for block in self._blocks if block.where == "device" and not block.free)
        return self._npu.settings.memory_bytes - taken - self._reserved_bytes

    def reserve(self, count: int) -> None:
        """Take memory for a model, or give it back with a negative count."""
        if count > self.free_bytes:
            raise AclError(codes.MEMORY_ALLOCATION)
        self._reserved_bytes += count

    def malloc(self, size: int, policy: int) -> int:
        if size <= 0 or policy not in POLICIES:
            raise AclError(codes.INVALID_PARAM)
        if capacity(size) > self.free_bytes:
            raise AclError(codes.MEMORY_ALLOCATION)
        return self._add("device", size, opaque=self._npu.settings.mode == codes.HOST)

    def malloc_host(self, size: int) -> int:
        if size <= 0:
            raise AclError(codes.INVALID_PARAM)
        if self._npu.settings.mode == codes.DEVICE:
            self._npu.report.violation("rt.malloc_host in run mode DEVICE, where there is device memory only")
            raise AclError(codes.NOT_SUPPORTED)
        return self._add("host", size, opaque=False)

    def _add(self, where: str, size: int, opaque: bool) -> int:
        content = np.full(capacity(size) + 64, GARBAGE, np.uint8)
        skipped = -content.ctypes.data % 64
        address = self._next if opaque else content.ctypes.data + skipped
        if opaque:
            self._next += (capacity(size) + GUARD_BYTES + 63) // 64 * 64
        index = bisect_right(self._starts, address)
        self._starts.insert(index, address)
        self._blocks.insert(index, Block(where, address, size, content[skipped : skipped + size]))
        self._npu.report.apply(_kind(where))
        return address

    def release(self, address: int, where: str) -> None:
        if not address:
            raise AclError(codes.INVALID_PARAM)
        block = self._around(address)
        wrong = ""
        if block is None or block.address != address:
            wrong = "of an address that no allocation gave"
        elif block.free:
            wrong = f"of {block.size} bytes that were freed before"
        elif block.where != where:
            wrong = f"of {block.where} memory with the function for {where} memory"
        if wrong or block is None:
            self._npu.report.violation(f"free {wrong}")
            raise AclError(codes.RUNTIME_PARAM)
        if self._npu.flight.uses(address, block.size):
            self._npu.report.violation(f"{block.size} bytes were freed while an execution was in flight that uses them")
        block.content.fill(GARBAGE)
        block.free = True
        self._npu.report.release(_kind(where))

    # use

    def set(self, address: int, most: int, value: int, count: int) -> None:
        if not address:
            raise AclError(codes.INVALID_PARAM)
        if count > most:
            raise AclError(codes.RUNTIME_PARAM)
        self._refuse_writing_in_flight(address, count)
        self.bytes_at(address, count).fill(value & 0xFF)

    def copy(self, target: int, most: int, source: int, count: int, kind: int) -> None:
        """Now."""
        self.check_copy(target, most, source, count, kind)
        self._refuse_writing_in_flight(target, count)
        if self._npu.flight.writes(source, count):
            self._npu.report.violation(f"{count} bytes were copied from the output of an execution that nobody had waited for")
        self.move(target, source, count)

    def check_copy(self, target: int, most: int, source: int, count: int, kind: int) -> None:
        """Refuse what `rt.memcpy` refuses."""
        if not target or not source or kind not in range(4):
            raise AclError(codes.INVALID_PARAM)
        if count > most:
            raise AclError(codes.RUNTIME_PARAM)
        direction = self._direction(target, source)
        if kind not in self._kinds_for(direction):
            self._npu.report.violation(f"memcpy of kind {kind} where the copy is {direction} in run mode {self._npu.settings.run_mode}")
            raise AclError(codes.RUNTIME_PARAM)

    def move(self, target: int, source: int, count: int) -> None:
        """Copy what was checked."""
        self.bytes_at(target, count)[:] = self.bytes_at(source, count)
        self._npu.report.copied_bytes[self._direction(target, source)] += count

    def bytes_at(self, address: int, count: int) -> Bytes:
        """The memory itself, wherever it lies. Raises AclError for what is no memory of ours, or ends before `count`."""
        block = self._around(address)
        if block is None:
            if address >= DEVICE_ADDRESSES:
                self._wrong(f"use of {address:#x}, which is no address on the device")
            self.arrays.check(address, count)
            return host_bytes(address, count)
        if block.free:
            self._wrong(f"use of {block.size} bytes of {block.where} memory after they were freed")
        if address + count > block.end:
            self._wrong(f"use of {count} bytes from {address - block.address} on of an allocation of {block.size}")
        return block.content[address - block.address :][:count]

    def on_device(self, address: int) -> bool:
        """Whether the address is in memory that `rt.malloc` gave, or gave once."""
        block = self._around(address)
        return block.where == "device" if block else address >= DEVICE_ADDRESSES

    def _around(self, address: int) -> Block | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._blocks[index].address + self._blocks[index].capacity:
            return None
        return self._blocks[index]

    def _direction(self, target: int, source: int) -> str:
        return f"{'hd'[self.on_device(source)]}2{'hd'[self.on_device(target)]}"

    def _kinds_for(self, direction: str) -> tuple[int, ...]:
        """In run mode DEVICE the samples use D2D between any two places; what the kinds 1 and 2 do there is not established."""
        if self._npu.settings.mode == codes.DEVICE:
            return (codes.H2H, codes.D2D) if direction == "h2h" else (codes.D2D,)
        return ({"h2h": codes.H2H, "h2d": codes.H2D, "d2h": codes.D2H, "d2d": codes.D2D}[direction],)

    def _refuse_writing_in_flight(self, address: int, count: int) -> None:
        if self._npu.flight.uses(address, count):
            self._npu.report.violation(f"{count} bytes were written while an execution was in flight that uses them")

    def _wrong(self, what: str) -> None:
        self._npu.report.violation(what)
        raise AclError(codes.RUNTIME_PARAM)


def _kind(where: str) -> str:
    return "memory" if where == "device" else "host memory"
