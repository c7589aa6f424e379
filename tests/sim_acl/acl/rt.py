"""`acl.rt`: devices, contexts, streams, memory."""

from __future__ import annotations

from acl_simulator import codes
from acl_simulator.entry import RET, TWO_VALUES_RET, VALUE_RET, entry, locked
from acl_simulator.npu import npu
from acl_simulator.streams import Span, Work


@entry(int, gives=RET, device=True, gone=codes.INVALID_DEVICE)
@locked
def set_device(device):
    npu().contexts.set_device(device)


@entry(int, gives=RET, device=True, releases=True, gone=codes.INVALID_DEVICE)
@locked
def reset_device(device):
    npu().contexts.reset_device(device)


@entry(gives=VALUE_RET)
def get_device_count():
    return 0 if npu().faults.gone else npu().settings.devices


@entry(gives=VALUE_RET)
def get_run_mode():
    return npu().settings.mode


@entry(int, gives=VALUE_RET, device=True)
@locked
def create_context(device):
    return npu().contexts.create(device)


@entry(int, gives=RET, device=True, releases=True)
@locked
def destroy_context(context):
    npu().contexts.destroy(context)


@entry(int, gives=RET)
@locked
def set_context(context):
    npu().contexts.set(context)


@entry(gives=VALUE_RET)
@locked
def get_context():
    return npu().contexts.current()


@entry(gives=VALUE_RET, device=True)
@locked
def create_stream():
    return npu().streams.create()


@entry(int, gives=RET, device=True, releases=True)
@locked
def destroy_stream(stream):
    npu().streams.destroy(stream)


@entry(int, gives=RET, device=True, releases=True, strikes=False)
def synchronize_stream(stream):
    npu().streams.synchronize(stream)


@entry(int, int, gives=VALUE_RET, device=True)
@locked
def malloc(size, policy):
    npu().contexts.current()
    return npu().memory.malloc(size, policy)


@entry(int, gives=RET, device=True, releases=True)
@locked
def free(address):
    npu().memory.release(address, "device")


@entry(int, gives=VALUE_RET, device=True)
@locked
def malloc_host(size):
    npu().contexts.current()
    return npu().memory.malloc_host(size)


@entry(int, gives=RET, device=True, releases=True)
@locked
def free_host(address):
    npu().memory.release(address, "host")


@entry(int, gives=TWO_VALUES_RET, device=True)
@locked
def get_mem_info(attribute):
    npu().contexts.current()
    return npu().memory.free_bytes, npu().settings.memory_bytes


@entry(int, int, int, int, gives=RET, device=True)
@locked
def memset(address, most, value, count):
    npu().contexts.current()
    npu().memory.set(address, most, value, count)


@entry(int, int, int, int, int, gives=RET, device=True)
@locked
def memcpy(target, most, source, count, kind):
    npu().contexts.current()
    npu().memory.copy(target, most, source, count, kind)


@entry(int, int, int, int, int, int, gives=RET, device=True)
@locked
def memcpy_async(target, most, source, count, kind, stream):
    memory = npu().memory
    npu().streams.check(stream)
    memory.check_copy(target, most, source, count, kind)
    work = Work(lambda: memory.move(target, source, count), (Span(source, count),), (Span(target, count),))
    npu().streams.put(stream, work)
