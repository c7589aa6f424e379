"""What a person sees: lines, and while a pipeline runs a live table of its workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live

from poselift.app.cli.worker_table import Changes, worker_table
from poselift.app.dataflow.messages import Health, Message
from poselift.app.processes.process_states import ProcessState
from poselift.app.redact import printable

PLAIN_WIDTH = 120

console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PLAIN_WIDTH)


def say(line: str) -> None:
    """A line for people, on stderr: as it is, never wrapped."""
    errors.print(printable(line), markup=False, soft_wrap=True)


class LiveTable:
    """The workers as a table that follows them; where the output is no terminal, as a line when something changes."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._health: dict[str, Health] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._changes = Changes()
        self._process_states: Mapping[str, ProcessState] = {}

    def __enter__(self) -> LiveTable:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays, above the table."""
        (self._live.console if self._live else errors).print(printable(line), markup=False, soft_wrap=True)

    def show(self, messages: list[Message], process_states: Mapping[str, ProcessState]) -> None:
        """Take the workers' news into the table."""
        fresh = {message.worker: message for message in messages if isinstance(message, Health)}
        self._health.update(fresh)
        changed, self._process_states = process_states != self._process_states, process_states
        if self._live and (fresh or changed):
            self._live.update(worker_table(self._title, self._health, self._process_states))
        elif not self._live:
            for line in self._changes.lines(self._health, self._process_states, time.monotonic()):
                console.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, soft_wrap=True)
