"""Runs a pipeline to its end from the command line: signals, what is shown meanwhile, what came of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional, Protocol

from app.config import Config
from app.dataflow.messages import Message
from app.dataflow.tally import Tally
from app.errors import UserError
from app.processes.supervisor import Supervisor

TICK_S = 0.1


class Run(NamedTuple):
    """What came of a run: the account of its frames, and why it broke off (None where it did not)."""

    tally: Tally
    failure: Optional[str]


class Screen(Protocol):
    """What a person sees while a pipeline runs."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def show(self, messages: list[Message], supervisor: Supervisor) -> None:
        """What the workers said since the last call."""


def drive(config: Config, screen: Screen, seconds: Optional[float] = None) -> Run:
    """Run the workers until the source ends, the time is over or a signal comes. Raises UserError where nothing could run."""
    tally = Tally()
    with _signals() as caught, Supervisor(config, screen.say) as supervisor:
        begin_s: Optional[float] = None
        while not supervisor.done:
            time.sleep(TICK_S)
            messages = supervisor.step()
            for message in messages:
                tally.add(message)
            if begin_s is None and tally.lifted:
                begin_s = time.monotonic()
            if caught or (seconds is not None and begin_s is not None and time.monotonic() - begin_s >= seconds):
                supervisor.stop()
            screen.show(messages, supervisor)
        time.sleep(TICK_S)  # the last words are on their way
        for message in supervisor.step():
            tally.add(message)
    tally.finish()
    if supervisor.user_error and supervisor.failure:
        raise UserError(supervisor.failure)
    return Run(tally, supervisor.failure)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal as a list of those that came, instead of a sudden end."""
    caught: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, lambda number, _frame: caught.append(number)) for kind in kinds]
    try:
        yield caught
    finally:
        for kind, handler in zip(kinds, before):
            signal.signal(kind, handler)
