"""What kind of board is simulated."""

from __future__ import annotations

import os
from typing import NamedTuple

from acl_simulator import codes

MODES = {"HOST": codes.HOST, "DEVICE": codes.DEVICE}


class Settings(NamedTuple):
    """One board: the Atlas 200I DK A2 (Ascend310B4, 4 GB, HOST) unless told otherwise."""

    run_mode: str = "HOST"
    soc: str = "Ascend310B4"
    devices: int = 1
    memory_bytes: int = 4 << 30
    host_namespace: int = 0
    """The mount namespace (its inode) of the machine's process 1; whoever has another one is in a container. 0: there are no containers."""

    @property
    def mode(self) -> int:
        """The run mode's number."""
        return MODES[self.run_mode]


def from_environment() -> Settings:
    """SIM_ACL_RUN_MODE, SIM_ACL_SOC, SIM_ACL_DEVICES, SIM_ACL_MEMORY_BYTES, SIM_ACL_HOST_NAMESPACE; what is not set is as in `Settings`."""
    given = {name: os.environ.get(f"SIM_ACL_{name.upper()}") for name in Settings._fields}
    kinds = {"devices": int, "memory_bytes": int, "host_namespace": int}
    return Settings(**{name: kinds.get(name, str)(value) for name, value in given.items() if value is not None})
