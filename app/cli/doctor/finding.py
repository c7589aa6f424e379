"""What the doctor says of one thing."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at. What is not ok and has a remedy keeps this config from running; without one it is merely not there."""

    what: str
    found: str
    ok: bool
    remedy: str = ""

    @property
    def missing(self) -> bool:
        """Whether something that is needed is not there."""
        return not self.ok and bool(self.remedy)

    @property
    def mark(self) -> str:
        """For the first column."""
        return "[green]ok[/]" if self.ok else "[red]missing[/]" if self.remedy else "[yellow]absent[/]"


def trouble(what: str, line: object) -> Finding:
    """An error for people as a finding: it says what was wrong, then, after the last semicolon, what to do."""
    found, _, remedy = str(line).rpartition("; ")
    return Finding(what, found or remedy, False, remedy if found else "see docs/board.md")
