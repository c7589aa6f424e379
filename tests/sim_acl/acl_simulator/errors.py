"""How a call fails."""

from __future__ import annotations


class AclError(Exception):
    """The call returns this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WouldCrash(Exception):
    """Where the real library would read or write memory that is not there, or hang, and no return code tells of it."""
