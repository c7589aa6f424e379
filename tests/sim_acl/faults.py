"""Faults on demand: the tests' side. They strike in whatever process looks at the same file (SIM_ACL_FAULTS), at once.

The file is a JSON list of {"id": text, "fault": a code, "hang" or "gone", "on": a function such as "rt.malloc", "model": the stem of an
.om's name or null for any, "times": a number or null for every time}. It is replaced as a whole, and a missing file asks for nothing.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from pathlib import Path
from typing import IO, Any

from patience import PATIENCE_S


class Fault:
    """One that was asked for. A context manager that ends it."""

    def __init__(self, faults: Faults, tree: dict[str, Any]) -> None:
        self._faults = faults
        self.tree = tree
        self._lock: IO[str] | None = None
        if tree["fault"] == "hang":
            self._lock = (faults.marks / f"{tree['id']}.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def hits(self) -> list[int]:
        """The processes that it struck, once for each time."""
        return [int(mark.read_text() or 0) for mark in self._faults.marks.glob(f"{self.tree['id']}.[0-9]*")]

    def wait(self, timeout_s: float = PATIENCE_S) -> None:
        """Until it has struck. Raises AssertionError if it does not: the mark is a file that another process makes, so it is looked for."""
        deadline = time.monotonic() + timeout_s
        while not self.hits:
            assert time.monotonic() < deadline, f"nothing was struck by {self.tree} in {timeout_s} s"
            threading.Event().wait(0.005)

    def end(self) -> None:
        """No more of it: what hangs goes on, what had gone is back."""
        self._faults.remove(self)
        if self._lock:
            self._lock.close()

    def __enter__(self) -> Fault:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


class Faults:
    """All that is asked for through one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.marks = Path(f"{file}.hits")
        self.marks.mkdir(parents=True, exist_ok=True)
        self._asked: list[Fault] = []
        self._last_id = 0

    def begin(self, fault: int | str, on: str | None = None, model: str | None = None, times: int | None = 1) -> Fault:
        """From now on calls of `on` fail with the code `fault`, or hang if it is "hang"; or the device is "gone", whatever is called."""
        self._last_id += 1
        asked = Fault(self, {"id": f"fault{self._last_id}", "fault": fault, "on": on, "model": model, "times": times})
        self._asked.append(asked)
        self._write()
        return asked

    def remove(self, fault: Fault) -> None:
        self._asked = [other for other in self._asked if other is not fault]
        self._write()

    def end(self) -> None:
        """End them all."""
        for fault in self._asked:
            fault.end()

    def _write(self) -> None:
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps([fault.tree for fault in self._asked]), encoding="utf-8")
        partial.replace(self.file)
