"""What a person sees of work on a file: a bar of how far it is, its lines, and how it ended."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from poselift.app.cli.console import errors, say
from poselift.app.cli.stopping import Stopped
from poselift.app.offline.job import Progress, Result, log


class ProgressBar:
    """How far the work is: a bar for each of its stages."""

    def __init__(self) -> None:
        rate, times = TextColumn("{task.fields[rate]}"), (TimeElapsedColumn(), TimeRemainingColumn())
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, *times)
        self.bars = Bars(*columns, console=errors, disable=not sys.stderr.isatty())
        self._tasks: dict[str, TaskID] = {}
        self._begin_s: dict[str, float] = {}
        """When each stage's first frame was done."""
        self.result, self._stage = Result(), ""
        """What there was of it when it was told last."""

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        self.result, self._stage = progress.result, progress.stage
        self.bars.start()  # not before: the live pipeline of a demo has a table first
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self.bars.add_task(progress.stage, total=progress.total, rate="")
        if progress.done:
            seconds = (now_s := time.monotonic()) - self._begin_s.setdefault(progress.stage, now_s)
            rate = f"{progress.done / seconds:.0f} frames/s" if seconds > 0.5 else ""
            self.bars.update(self._tasks[progress.stage], completed=progress.done, rate=rate)

    @property
    def kept(self) -> str:
        """What there is where the work breaks off; empty where nothing is."""
        if self._stage == "drawing" and not self.result.videos:
            return f"{', '.join(map(str, self.result.files))}, without a video"
        return f"the {self.result.lifted} frames done until then" if self.result.files or self.result.keypoints else ""


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"{'warning: ' if record.levelno >= logging.WARNING else ''}{record.getMessage()}")


@contextmanager
def reporting() -> Iterator[ProgressBar]:
    """Show how far the work in the block is, its lines, and, where it breaks off or is told to stop, what is kept; then exit code 1."""
    lines, bar = _Lines(), ProgressBar()
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        yield bar
    except Stopped as stopped:
        stopped.kept = bar.kept
        raise
    finally:
        bar.bars.stop()
        log.removeHandler(lines)
    if bar.result.failure:
        say(f"poselift: {bar.result.failure}; kept: {bar.kept}")
        sys.exit(1)
