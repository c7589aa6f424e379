"""`poselift record`: a recording begun or ended while the pipeline on this machine runs."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.cli.console import say
from poselift.app.config import load
from poselift.app.dataflow.bus_clients import order
from poselift.app.dataflow.streams import RECORDER, WORKERS
from poselift.app.processes.process import running
from poselift.app.recording.orders import NO_RECORDER, RECORD_START, RECORD_STOP
from poselift.common.errors import UserError

ANSWER_WITHIN_S = 30.0
"""The answer to the end of a recording comes when it is whole on a disk, which may be slow."""


def start(config_path: Optional[Path]) -> None:
    """Begin a new one. Raises UserError where nothing records here, or it cannot."""
    _order(RECORD_START, config_path)


def stop(config_path: Optional[Path]) -> None:
    """End it. Raises UserError where nothing records here, or nothing is being recorded."""
    _order(RECORD_STOP, config_path)


def _order(command: str, config_path: Optional[Path]) -> None:
    folder = load(config_path).runtime_path()
    if not any(running(folder, worker) for worker in WORKERS):
        raise UserError(f"no poselift is running here (runtime folder {folder}); type: poselift up SOURCE")
    if not running(folder, RECORDER):
        raise UserError(NO_RECORDER)
    answer = order(folder, RECORDER, command, ANSWER_WITHIN_S)
    if answer is None:
        raise UserError(f"the recorder does not answer (runtime folder {folder}); poselift status tells how it is")
    if not answer.ok:
        raise UserError(answer.text)
    say(answer.text)
