"""A stand-in for Huawei's pyACL, put on the path by tests only. ../README.md says what it claims and what not.

Signatures and codes: CANN's "pyACL API Reference". No constants: the real module exports none.
"""

from __future__ import annotations

from acl_simulator.entry import RET, bare, entry, locked
from acl_simulator.npu import npu

from acl import mdl as mdl
from acl import rt as rt
from acl import util as util


@entry(str, gives=RET, optional=1)
@locked
def init(config=""):
    npu().initialise()


@entry(gives=RET)
@locked
def finalize():
    npu().finalize()


@entry(gives=bare(None))
def get_soc_name():
    return npu().settings.soc if npu().settings.devices and not npu().faults.gone else None


@entry(int, int, gives=bare(0))
@locked
def create_data_buffer(address, size):
    return npu().datasets.create_buffer(address, size)


@entry(int, gives=RET)
@locked
def destroy_data_buffer(buffer):
    npu().datasets.destroy_buffer(buffer)


@entry(int, int, int, gives=RET)
@locked
def update_data_buffer(buffer, address, size):
    npu().datasets.update_buffer(buffer, address, size)


@entry(int, gives=bare(0))
@locked
def get_data_buffer_addr(buffer):
    return npu().datasets.span(buffer).address


@entry(int, gives=bare(0))
@locked
def get_data_buffer_size(buffer):
    return npu().datasets.span(buffer).size
