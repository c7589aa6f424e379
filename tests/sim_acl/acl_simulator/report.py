"""What a process did: calls, copied bytes, what it holds, and its violations: errors that the real API would not have reported.

Where SIM_ACL_REPORT names a folder, `PID.json` there holds all of it, written when pyACL is finalized and when the interpreter ends.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

KINDS = ("init", "device", "context", "stream", "memory", "host memory", "model", "desc", "dataset", "data buffer")
DIRECTIONS = ("h2h", "h2d", "d2h", "d2d")


class Report:
    """All that is counted. `held` is what was applied for and not yet released, by kind."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.copied_bytes = dict.fromkeys(DIRECTIONS, 0)
        self.applied = dict.fromkeys(KINDS, 0)
        self.held = dict.fromkeys(KINDS, 0)
        self.violations: list[str] = []
        self.warnings: list[str] = []

    def forget_counts(self) -> None:
        """Start counting calls, bytes and applications anew; what is held, and what was done wrong, stays."""
        self.calls.clear()
        self.copied_bytes.update(dict.fromkeys(DIRECTIONS, 0))
        self.applied.update(dict.fromkeys(KINDS, 0))

    def apply(self, kind: str) -> None:
        self.applied[kind] += 1
        self.held[kind] += 1

    def release(self, kind: str) -> None:
        self.held[kind] -= 1

    def violation(self, what: str) -> None:
        self.violations.append(what)

    def warning(self, what: str) -> None:
        """What the real library logs, and accepts; each is kept once."""
        if what not in self.warnings:
            self.warnings.append(what)

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        names = ("calls", "copied_bytes", "applied", "held", "violations", "warnings")
        return {"pid": os.getpid(), **{name: getattr(self, name) for name in names}}

    def write(self) -> None:
        """To the folder in SIM_ACL_REPORT, whole or not at all."""
        folder = os.environ.get("SIM_ACL_REPORT")
        if folder:
            partial = Path(folder) / f"{os.getpid()}.partial"
            partial.write_text(json.dumps(self.tree(), indent=1), encoding="utf-8")
            partial.replace(partial.with_suffix(".json"))
