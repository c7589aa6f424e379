"""`poselift status`: how the workers on this machine are."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Optional

from poselift.app.cli.console import console
from poselift.app.cli.worker_table import worker_table
from poselift.app.config import load
from poselift.app.dataflow.bus_clients import Subscriber
from poselift.app.dataflow.messages import Health
from poselift.app.dataflow.streams import WATCH, WORKERS, links
from poselift.app.processes.process import SUPERVISOR_LOCK, running
from poselift.app.processes.process_states import DEAD, LEFT, RUNNING, SILENT, STARTING, ProcessState, read
from poselift.common.errors import UserError

LISTEN_S = 2.5
"""Longer than the second between two of a worker's reports."""


def status(config_path: Optional[Path]) -> None:
    """Listen for a moment and print the table. Raises UserError where nothing runs."""
    folder = load(config_path).runtime_path()
    here = _here(folder)
    known = read(folder) if running(folder, SUPERVISOR_LOCK) else {}
    if not here and not known:
        raise UserError(f"no worker is running here (runtime folder {folder}); type: poselift up SOURCE")
    healths = _listen(folder, here)
    known = {**dict.fromkeys(here, ProcessState(RUNNING, None)), **(read(folder) if known else {})}
    console.print(worker_table(f"poselift · {folder}", healths, process_states(known, _here(folder), healths)))


def process_states(known: Mapping[str, ProcessState], here: Collection[str], heard: Collection[str]) -> dict[str, ProcessState]:
    """The state of every worker's process: as the supervisor has it (`known`), or running without one; `here` hold their lock."""
    found = {}
    for worker in filter(known.__contains__, WORKERS):
        state, restarts = known[worker]
        if worker not in here and state not in (STARTING, LEFT):
            state = DEAD
        elif state == RUNNING and worker not in heard:
            state = SILENT
        found[worker] = ProcessState(state, restarts)
    return found


def _here(folder: Path) -> tuple[str, ...]:
    return tuple(worker for worker in WORKERS if running(folder, worker))


def _listen(folder: Path, workers: tuple[str, ...]) -> dict[str, Health]:
    watch = Subscriber(folder, tuple(link for link in links("live", workers) if link.taker == WATCH and link.message is Health))
    healths: dict[str, Health] = {}
    until_s = time.monotonic() + LISTEN_S
    while len(healths) < len(workers) and (left_s := until_s - time.monotonic()) > 0:
        healths.update({message.worker: message for message in watch.receive(left_s) if isinstance(message, Health)})
    watch.close()
    return healths
