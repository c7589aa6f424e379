"""`poselift status`: how the workers on this machine are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Optional

from app.cli.screen import console, health_table
from app.config import load
from app.dataflow.messages import Health
from app.dataflow.outside import Watch
from app.dataflow.streams import WATCH, WORKERS, links
from app.errors import UserError
from app.processes.process import running

LISTEN_S = 1.6
"""Longer than the second between two of a worker's reports."""


def status(config_path: Optional[Path]) -> None:
    """Listen for a moment and print the table. Raises UserError where nothing runs."""
    config = load(config_path)
    folder = config.runtime_path()
    here = tuple(worker for worker in WORKERS if running(folder, worker))
    if not here:
        raise UserError(f"no worker is running here (runtime folder {folder}); type: poselift up SOURCE")
    watch = Watch(folder, tuple(link for link in links("live", here) if link.taker == WATCH and link.message is Health))
    healths: dict[str, Health] = {}
    until_s = time.monotonic() + LISTEN_S
    while len(healths) < len(here) and (left_s := until_s - time.monotonic()) > 0:
        healths.update({message.worker: message for message in watch.receive(left_s) if isinstance(message, Health)})
    watch.close()
    console.print(health_table(f"poselift · {folder}", healths, dict.fromkeys(here)))
