"""The simulated machine, as one process sees it."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from acl_simulator import codes
from acl_simulator.containers import Container
from acl_simulator.contexts import Contexts
from acl_simulator.datasets import Datasets
from acl_simulator.errors import AclError, WouldCrash
from acl_simulator.faults import Faults
from acl_simulator.memory import Memory
from acl_simulator.models import Models
from acl_simulator.report import KINDS, Report
from acl_simulator.settings import Settings, from_environment
from acl_simulator.streams import Flight, Streams


class Npu:
    """Everything that one process holds; `report` tells what it did."""

    def __init__(self, settings: Settings, faults: Path | None) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.report = Report()
        self.faults = Faults(faults)
        self.container = Container(settings.host_namespace, faults)
        self.flight = Flight()
        self.memory = Memory(self)
        self.contexts = Contexts(self)
        self.streams = Streams(self)
        self.datasets = Datasets(self)
        self.models = Models(self)
        self.pid = os.getpid()
        self._state = "new"

    @property
    def initialised(self) -> bool:
        return self._state == "initialised"

    @property
    def away(self) -> bool:
        """Whether the device is not there for the calling thread: it is gone, or was gone since the thread's context was made."""
        return self.faults.gone or self.contexts.lost()

    def initialise(self) -> None:
        if self.initialised:
            raise AclError(codes.REPEAT_INITIALISE)
        if self._state == "finalized":
            self.report.violation("acl.init after acl.finalize")
        self._state = "initialised"
        self.report.apply("init")

    def finalize(self) -> None:
        if not self.initialised:
            raise AclError(codes.REPEAT_FINALIZE if self._state == "finalized" else codes.UNINITIALISED)
        self._state = "finalized"
        self.report.release("init")
        self.must_be_gone("acl.finalize", *KINDS)
        self.report.write()

    def must_be_gone(self, function: str, *kinds: str) -> None:
        """It is a violation to call the function while one of these kinds is held."""
        for kind in kinds:
            if self.report.held[kind]:
                self.report.violation(f"{function} while {self.report.held[kind]} of {kind} are held")

    def left_in(self, context: int) -> Iterator[str]:
        """The kinds of things that live in a context."""
        if self.models.in_context(context):
            yield "model"
        if self.streams.in_context(context):
            yield "stream"

    def check_process(self) -> None:
        """pyACL does not survive a fork: processes are started anew ("spawn")."""
        if os.getpid() != self.pid:
            self.report.violation("pyACL was used in a forked process")
            raise WouldCrash("pyACL was used in a forked process")

    def note_fork(self) -> None:
        if self.initialised:
            self.report.violation("a fork while pyACL is initialised")

    def end(self) -> None:
        """The interpreter ends."""
        if os.getpid() == self.pid:
            if self.initialised:
                self.report.violation("the process ended without acl.finalize")
            self.report.write()


class _Current:
    npu: Npu | None = None


def npu() -> Npu:
    """The one in use: what `start` made last, else what the environment's variables say."""
    if _Current.npu is None:
        faults = os.environ.get("SIM_ACL_FAULTS")
        start(from_environment(), Path(faults) if faults else None)
    assert _Current.npu
    return _Current.npu


def start(settings: Settings, faults: Path | None = None) -> Npu:
    """A fresh one in this process, which forgets all about the one before."""
    _Current.npu = Npu(settings, faults)
    return _Current.npu


os.register_at_fork(after_in_parent=lambda: npu().note_fork())
atexit.register(lambda: npu().end())
