"""What a worker is told beside its inputs, by orders and signals; what it says of itself, to everybody and to its service manager."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Optional

from poselift.app.dataflow.health import Meter
from poselift.app.dataflow.messages import Answer, Health
from poselift.app.processes.notify import ServiceManager, status_line

STARTING, RUNNING, ENDING = "starting", "running", "ending"
LAST_WORK_S = 1.0
"""After SIGTERM a worker goes on so long with what still comes: where others go on, something always does."""


class ControlPlane:
    """Answers orders and makes reports. Knows no bus; times are passed in, of the machine's monotonic clock."""

    def __init__(self, worker: str, meter: Meter, manager: ServiceManager, commands: Collection[str] = ()) -> None:
        """`commands` are those that the worker answers itself, beside 'stop' and 'status'."""
        self.state = STARTING
        self.ordered = False
        self.terminated = False
        """Whether SIGTERM came: then this worker may come back."""
        self.leave_by_s = math.inf
        """When it leaves although something still comes, by the monotonic clock."""
        self._worker, self._meter, self._manager, self._commands = worker, meter, manager, commands

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to leave."""
        return self.ordered or self.terminated

    def hear(self, command: str) -> Optional[Answer]:
        """The answer to an order; None where the worker is to give it."""
        if command == "stop":
            self.ordered = True
            return Answer(True, "stopping")
        if command == "status":
            return Answer(True, self.state)
        if command not in self._commands:
            known = ", ".join(("stop", "status", *self._commands))
            return Answer(False, f"{self._worker} knows no order {command!r}; it knows: {known}")
        return Answer(False, f"{self._worker} is ending") if self.state == ENDING else None

    def due(self, now_ns: int) -> bool:
        """Whether it is time for a report: at the first turn, and once a second."""
        return self.state == STARTING or self._meter.due(now_ns)

    def report(self, now_ns: int) -> Health:
        """How the worker is. The first report says that it is ready: its networks are open, its sockets bound."""
        if self.state == STARTING:
            self.state = RUNNING
            self._manager.tell(READY="1")
        return self._report(now_ns)

    def loading(self, now_ns: int, may_take_s: float) -> Health:
        """A report from before it is ready; what is loaded next may take so long."""
        self._manager.tell(EXTEND_TIMEOUT_USEC=str(round(1e6 * may_take_s)))
        return self._report(now_ns)

    def ending(self, now_ns: int) -> Health:
        """The report of a worker that leaves."""
        self.state = ENDING
        self._manager.tell(STOPPING="1")
        return self._report(now_ns)

    def terminate(self, now_s: float) -> None:
        """SIGTERM came."""
        self.terminated, self.leave_by_s = True, min(self.leave_by_s, now_s + LAST_WORK_S)

    def _report(self, now_ns: int) -> Health:
        health = self._meter.report(self.state, now_ns)
        self._manager.tell(STATUS=status_line(health))
        return health
