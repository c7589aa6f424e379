"""What a person sees of work on a file: a bar of how far it is, its lines, and how it ended."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from poselift.app.cli.screen import errors, say
from poselift.app.cli.stopping import Stopped
from poselift.app.offline.job import Progress, Report, Result, log


class ProgressBar:
    """How far the work is: a bar for each of its stages."""

    def __init__(self) -> None:
        rate, both = TextColumn("{task.fields[rate]}"), (TimeElapsedColumn(), TimeRemainingColumn())
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, *both)
        self._bars = Bars(*columns, console=errors, disable=not sys.stderr.isatty())
        self._tasks: dict[str, TaskID] = {}
        self._began_s: dict[str, float] = {}
        """Stage -> when its first frame was done."""
        self.result = Result()
        """What there was of it when it was told last."""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        self.result = progress.result
        self._bars.start()  # not before: the live pipeline of a demo has a table first
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total, rate="")
        if progress.done:
            now_s = time.monotonic()
            seconds = now_s - self._began_s.setdefault(progress.stage, now_s)
            rate = f"{progress.done / seconds:.0f} frames/s" if seconds > 0.5 else ""
            self._bars.update(self._tasks[progress.stage], completed=progress.done, rate=rate)


class _Lines(logging.Handler):
    """Lines of the work, as people see them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        say(f"{'warning: ' if record.levelno >= logging.WARNING else ''}{record.getMessage()}")


@contextmanager
def reporting() -> Iterator[ProgressBar]:
    """Show how far the work in the block is, and its lines; where it is told to stop, say what is kept."""
    lines = _Lines()
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        with ProgressBar() as bar:
            yield bar
    except Stopped as stopped:
        stopped.kept = stopped.kept or bar.result.kept
        raise
    finally:
        log.removeHandler(lines)


def report(work: Callable[[Report], Result]) -> None:
    """Do the work, and show how it goes. Leaves with exit code 1 where it broke off."""
    with reporting() as bar:
        result = work(bar)
    fail(result)


def fail(result: Result) -> None:
    """Leave with exit code 1 where the work broke off, and say what is kept."""
    if result.failure:
        say(f"poselift: {result.failure}; kept: {result.kept}")
        sys.exit(1)
