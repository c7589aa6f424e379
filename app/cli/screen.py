"""What a person sees while a pipeline runs: a live table of the workers, or a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Optional

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from poselift.app.cli.workers import Changes, page
from poselift.app.dataflow.messages import Health, Message
from poselift.app.dataflow.streams import answer_to_a_frame
from poselift.app.processes.standing import Standing
from poselift.app.processes.supervisor import Supervisor
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
        self._standings: Mapping[str, Standing] = {}

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

    def show(self, messages: list[Message], supervisor: Supervisor) -> None:
        """Take the workers' news into the table."""
        fresh = {message.worker: message for message in messages if isinstance(message, Health)}
        self._health.update(fresh)
        changed, self._standings = supervisor.standings != self._standings, supervisor.standings
        if self._live and (fresh or changed):
            self._live.update(page(self._title, self._health, self._standings))
        elif not self._live:
            for line in self._changes.lines(self._health, self._standings, time.monotonic()):
                console.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, soft_wrap=True)


class ProgressBar:
    """How far a file is."""

    def __init__(self, what: str, frames: Optional[int]) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=errors, disable=not sys.stderr.isatty())
        self._task = self._progress.add_task(what, total=frames, rate="")
        self._begin_s: Optional[float] = None
        self.done = 0

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        say(line)

    def show(self, messages: list[Message], supervisor: Supervisor) -> None:
        """Take the workers' news into the bar: frames that left the last worker."""
        kind = answer_to_a_frame(supervisor.children)
        self.advance(sum(isinstance(message, kind) for message in messages))

    def advance(self, frames: int) -> None:
        """So many frames more."""
        if not frames:
            return
        now_s = time.monotonic()
        if self._begin_s is None:
            self._begin_s = now_s
        self.done += frames
        seconds = now_s - self._begin_s
        rate = f"{self.done / seconds:.0f} frames/s" if seconds > 0.5 else ""
        self._progress.update(self._task, completed=self.done, rate=rate)
