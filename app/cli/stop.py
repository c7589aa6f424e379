"""`poselift stop`: the pipeline on this machine, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.cli.console import say
from poselift.app.config import load
from poselift.app.dataflow.bus_clients import order
from poselift.app.dataflow.streams import SOURCE
from poselift.app.processes.process import running
from poselift.common.errors import UserError


def stop(config_path: Optional[Path]) -> None:
    """Ask capture to end its stream: the others end behind it. Raises UserError where nothing runs, or does not answer."""
    folder = load(config_path).runtime_path()
    if not running(folder, SOURCE):
        raise UserError(f"no poselift is running here (runtime folder {folder})")
    answer = order(folder, SOURCE, "stop")
    if answer is None:
        raise UserError(f"{SOURCE} does not answer (runtime folder {folder}); press Ctrl-C where poselift up runs")
    say(f"{SOURCE}: {answer.text}")
