"""What a person sees while a pipeline runs: a live table of the workers, or a progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Optional

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.dataflow.messages import Health, Message, Pose2D, Pose3D
from app.processes.supervisor import Supervisor
from app.redact import printable

PLAIN_EVERY_S = 5.0
"""Where the output is no terminal, the table is printed this often."""

PLAIN_WIDTH = 120

console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PLAIN_WIDTH)


def say(line: str) -> None:
    """A line for people, on stderr: as it is, never wrapped."""
    errors.print(printable(line), markup=False, soft_wrap=True)


class LiveTable:
    """The workers as a table that follows them."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._health: dict[str, Health] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._printed_s = time.monotonic()

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
        now_s = time.monotonic()
        if self._live and fresh:
            self._live.update(self._table(supervisor))
        elif not self._live and now_s - self._printed_s > PLAIN_EVERY_S:
            self._printed_s = now_s
            console.print(self._table(supervisor))

    def _table(self, supervisor: Supervisor) -> Table:
        restarts = {worker: child.restarted for worker, child in supervisor.children.items()}
        return health_table(self._title, self._health, restarts)


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
        kind = Pose3D if "lift" in supervisor.children else Pose2D
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


def health_table(title: str, healths: dict[str, Health], restarts: Mapping[str, Optional[int]]) -> Table:
    """Each worker's state, rate, age of its data, drops and memory; the workers in the order of `restarts` (None where nobody counts)."""
    table = Table(title=title, title_justify="left", expand=False)
    for name in ("worker", "state", "rate", "age p50", "age p95", "dropped", "memory", "restarts"):
        table.add_column(name, justify="left" if name in ("worker", "state", "dropped") else "right", no_wrap=name != "dropped")
    for worker, count in restarts.items():
        health = healths.get(worker)
        if health is None:
            table.add_row(worker, "starting", *[""] * 5, _count(count))
            continue
        drops = ", ".join(f"{number} {reason}" for reason, number in sorted(health.drops.items()))
        table.add_row(
            worker,
            health.state,
            f"{health.rate_hz:.1f} /s",
            _ms(health.age_p50_ms),
            _ms(health.age_p95_ms),
            drops,
            f"{health.memory_bytes / 1e6:.0f} MB",
            _count(count),
        )
        if health.recording:
            table.add_row("", f"[red]recording[/red] {health.recording}")
        if health.viewers:
            table.add_row("", f"viewers: {health.viewers}")
        if health.note:
            table.add_row("", f"[yellow]{health.note}[/yellow]")
    return table


def _count(value: Optional[int]) -> str:
    return "" if value is None else str(value)


def _ms(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f} ms"
