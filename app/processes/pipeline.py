"""Runs a pipeline from its start to its end, in order however it is interrupted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Callable, NamedTuple, Optional

from poselift.app.config import Config
from poselift.app.dataflow.messages import Message
from poselift.app.dataflow.tally import Tally
from poselift.app.processes.command import COMMAND
from poselift.app.processes.process_states import ProcessState
from poselift.app.processes.supervisor import Supervisor
from poselift.common.errors import UserError

TICK_S = 0.1


class Run(NamedTuple):
    """What came of a run."""

    tally: Tally
    """The account of its frames."""
    failure: Optional[str]
    """Why it broke off."""
    interrupted: Optional[BaseException] = None
    """What was raised meanwhile, and stopped it."""


Watch = Callable[[list[Message], Mapping[str, ProcessState]], None]
"""Is told ten times a second what the workers said since the last time, and how their processes stand."""


def run_pipeline(config: Config, watch: Watch, say: Callable[[str], None], seconds: Optional[float] = None) -> Run:
    """Run the workers until the source ends, or `seconds` after the first pose. Raises UserError where nothing could run.

    `say` is called in a thread of its own, with lines for people. What is raised in the caller's thread
    meanwhile, such as KeyboardInterrupt or by `watch`, stops the workers in order, and is in the Run; what is raised after that ends them
    at once, and passes.
    """
    updates: SimpleQueue[Optional[tuple[list[Message], Mapping[str, ProcessState]]]] = SimpleQueue()
    stop, end = Event(), Event()
    interrupted: Optional[BaseException] = None
    # In a thread of its own: what a signal raises must not hit the supervisor in the middle of something.
    with ThreadPoolExecutor(1, "poselift") as pool:
        try:
            run = pool.submit(_supervise, config, lambda *update: updates.put(update), say, seconds, stop, end)
            run.add_done_callback(lambda _: updates.put(None))
            while not (run.done() and updates.empty()):
                try:
                    update = updates.get()
                    if update:
                        watch(*update)
                except BaseException as error:
                    if interrupted:
                        raise
                    interrupted = error
                    stop.set()
        finally:
            end.set()
    return run.result()._replace(interrupted=interrupted)


def _supervise(config: Config, tell: Watch, say: Callable[[str], None], seconds: Optional[float], stop: Event, end: Event) -> Run:
    tally = Tally()
    begin_s: Optional[float] = None

    def turn() -> None:
        time.sleep(TICK_S)
        messages = supervisor.poll()
        for message in messages:
            tally.add(message)
        tell(messages, supervisor.process_states)

    with Supervisor(config, say, COMMAND) as supervisor:
        while not (supervisor.done or end.is_set()):
            turn()
            if begin_s is None and tally.lifted:
                begin_s = time.monotonic()
            if stop.is_set() or (seconds is not None and begin_s is not None and time.monotonic() - begin_s >= seconds):
                supervisor.stop()
        turn()  # the last words are on their way
    tally.finish()
    if supervisor.user_error and supervisor.failure:
        raise UserError(supervisor.failure)
    return Run(tally, supervisor.failure)
