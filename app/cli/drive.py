"""Runs a pipeline to its end from the command line: signals, what is shown meanwhile, what came of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional, Protocol

from poselift.app.cli.command import COMMAND
from poselift.app.cli.stopping import STOPS, Stopped
from poselift.app.config import Config
from poselift.app.dataflow.messages import Message
from poselift.app.dataflow.tally import Tally
from poselift.app.processes.supervisor import Supervisor
from poselift.common.errors import UserError

TICK_S = 0.1
TWICE_S = 0.2
"""Some send a signal to a process and then to its group: what comes so soon is the same one."""


class Run(NamedTuple):
    """What came of a run: the account of its frames, why it broke off, and the signal that stopped it; None where nothing did."""

    tally: Tally
    failure: Optional[str]
    stopped: Optional[int] = None


class Screen(Protocol):
    """What a person sees while a pipeline runs."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def show(self, messages: list[Message], supervisor: Supervisor) -> None:
        """What the workers said since the last call."""


def drive(config: Config, screen: Screen, seconds: Optional[float] = None) -> Run:
    """Run the workers until the source ends, the time is over or a signal comes; a second one ends them at once, as Stopped.

    Raises UserError where nothing could run.
    """
    tally = Tally()
    with _signals() as caught, Supervisor(config, screen.say, COMMAND) as supervisor:
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
    return Run(tally, supervisor.failure, caught[0] if caught else None)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal as a list of those that came, instead of a sudden end. nohup's wish is respected."""
    caught: list[int] = []
    first_s = 0.0

    def catch(number: int, _frame: object) -> None:
        nonlocal first_s
        if caught and time.monotonic() - first_s > TWICE_S:
            raise Stopped(number)
        first_s = first_s or time.monotonic()
        caught.append(number)

    kinds = [kind for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if kind in STOPS or signal.getsignal(kind) != signal.SIG_IGN]
    before = [signal.signal(kind, catch) for kind in kinds]
    try:
        yield caught
    finally:
        for kind, handler in zip(kinds, before):
            signal.signal(kind, handler)
