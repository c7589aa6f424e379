"""Faults on demand: the simulator's side. `sim_acl.faults` is the tests' side, and says what the file holds.

The file named by SIM_ACL_FAULTS is looked at (one `stat`) whenever a function touches the device, so a fault begins and ends while the
program runs, in this process or another. A fault that strikes leaves a mark, a file named `FAULT.NUMBER` in the folder FILE.hits; as
such a file is made only once, all processes together are struck no more often than asked for.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

from acl_simulator.errors import AclError

HANG, GONE = "hang", "gone"


class Faults:
    """What the file asks for at the moment."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, ...] = ()
        self._faults: list[dict[str, Any]] = []
        self.losses = 0
        """How often the device has disappeared."""

    @property
    def gone(self) -> bool:
        """Whether the device is not there now."""
        before = self._is_gone()
        self._look()
        if self._is_gone() and not before:
            self.losses += 1
        for fault in self._faults:
            if fault["fault"] == GONE:
                self._mark(fault)
        return self._is_gone()

    def strike(self, function: str, model: str | None = None) -> None:
        """Raise AclError, or hang, if a fault is asked for this call."""
        self._look()
        for fault in self._faults:
            if fault["on"] == function and fault["model"] in (None, model) and self._mark(fault):
                if fault["fault"] != HANG:
                    raise AclError(int(fault["fault"]))
                self._hang(fault)

    def _is_gone(self) -> bool:
        return any(fault["fault"] == GONE for fault in self._faults)

    def _look(self) -> None:
        try:
            status = self._file.stat() if self._file else None
        except FileNotFoundError:
            status = None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size) if status else ()
        if seen != self._seen:
            self._faults = json.loads(self._file.read_bytes()) if self._file and seen else []
            self._seen = seen

    def _mark(self, fault: dict[str, Any]) -> bool:
        """Whether it has not struck as often as asked for, and now it has once more."""
        assert self._file
        folder = Path(f"{self._file}.hits")
        folder.mkdir(exist_ok=True)
        most = fault["times"]
        struck = len(list(folder.glob(f"{fault['id']}.[0-9]*"))) if most != 1 else 0
        if fault["fault"] == GONE and struck:
            return True
        while most is None or struck < most:
            try:
                with (folder / f"{fault['id']}.{struck}").open("x") as mark:
                    mark.write(str(os.getpid()))
                return True
            except FileExistsError:
                struck += 1
        return False

    def _hang(self, fault: dict[str, Any]) -> None:
        """Until the test lets go of the lock on the file FAULT.lock beside the marks, or ends.

        As in a library that hangs, no signal handler of Python runs meanwhile: what has none kills, and else only SIGKILL does.
        """
        handled = [number for number in signal.valid_signals() if callable(signal.getsignal(number))]
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        try:
            with Path(f"{self._file}.hits", f"{fault['id']}.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
