"""Told to stop by Ctrl-C or SIGTERM: what is half done goes, what is done stays and is named, and the exit code tells of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

STOPS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """This command was told to stop, by a signal. A SystemExit, so that nothing takes it for an error."""

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = kept
        """What there is of its work, for people."""

    def __str__(self) -> str:
        """For people, in a line."""
        return f"stopped by {signal.Signals(self.number).name}" + (f"; kept: {self.kept}" if self.kept else "")


def stop_on_signals() -> None:
    """From now on these signals raise Stopped, wherever this process is; a second one also in what the first left to do."""
    for number in STOPS:
        signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    raise Stopped(number)


@contextmanager
def keeping(kept: Callable[[], str]) -> Iterator[None]:
    """Who is told to stop inside the block says that this is there then."""
    try:
        yield
    except Stopped as stopped:
        stopped.kept = stopped.kept or kept()
        raise


def ended(stopped: Optional[int], kept: str) -> None:
    """Raise Stopped where a run was told to stop, by a signal of this number."""
    if stopped is not None:
        raise Stopped(stopped, kept)
