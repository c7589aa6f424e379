"""The engine behind the simulated `acl`, for tests to hold; see tests/sim_acl/README.md."""

from acl_simulator.npu import Npu, npu, start
from acl_simulator.settings import Settings

__all__ = ["Npu", "Settings", "npu", "start"]
