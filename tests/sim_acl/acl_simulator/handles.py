"""Tables of what pyACL gives handles for: numbers that are never used twice, so that what was destroyed is known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Generic, TypeVar

from acl_simulator.errors import AclError
from acl_simulator.report import KINDS, Report

Thing = TypeVar("Thing")


class Handles(Generic[Thing]):
    """Everything alive of one kind."""

    def __init__(self, report: Report, kind: str) -> None:
        self._report = report
        self._kind = kind
        self._numbers = itertools.count((KINDS.index(kind) + 1) << 40, 64)
        self._alive: dict[int, Thing] = {}
        self._destroyed: set[int] = set()

    def add(self, thing: Thing) -> int:
        handle = next(self._numbers)
        self._alive[handle] = thing
        self._report.apply(self._kind)
        return handle

    def find(self, handle: int, otherwise: int) -> Thing:
        """What the handle stands for. Raises AclError(otherwise); it is a violation unless the handle is 0."""
        if handle in self._alive:
            return self._alive[handle]
        if handle:
            state = "destroyed" if handle in self._destroyed else "unknown"
            self._report.violation(f"a {state} {self._kind} was used")
        raise AclError(otherwise)

    def remove(self, handle: int, otherwise: int) -> Thing:
        """As `find`, and the handle is destroyed."""
        thing = self.find(handle, otherwise)
        del self._alive[handle]
        self._destroyed.add(handle)
        self._report.release(self._kind)
        return thing

    def __contains__(self, handle: int) -> bool:
        return handle in self._alive

    def __iter__(self) -> Iterator[Thing]:
        return iter(list(self._alive.values()))
