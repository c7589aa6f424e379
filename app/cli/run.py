"""`poselift run`: one worker in this process."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Optional

from poselift.app.config import load
from poselift.app.dataflow.streams import WORKERS
from poselift.app.processes.heap import keep_freed_memory
from poselift.app.processes.process import connect, end_with_supervisor, lock, log_to_stderr, make_folder, stand_back
from poselift.common.errors import DeviceError, UserError


def run(worker: str, config_path: Optional[Path]) -> None:
    """Run a worker until it leaves. Raises UserError; what nobody foresaw is one line too, or a traceback with POSELIFT_DEBUG=1."""
    if worker not in WORKERS:
        raise UserError(f"there is no worker {worker!r}; known: {', '.join(WORKERS)}")
    end_with_supervisor()
    keep_freed_memory()
    log_to_stderr(worker)
    config = load(config_path)
    if config.lacks(worker):
        raise UserError(f"{worker} does not run with this config: it needs {config.lacks(worker)}")
    lock(make_folder(config), worker)
    if not WORKERS[worker].sends:
        stand_back()
    try:
        bus = connect(config, worker)
        import_module(f"poselift.workers.{worker}").run(config, bus)
    except Exception as error:
        if isinstance(error, UserError) or os.environ.get("POSELIFT_DEBUG"):
            raise
        foreseen = isinstance(error, DeviceError)
        what = str(error) if foreseen else f"{type(error).__name__}: {error} (POSELIFT_DEBUG=1 shows where)"
        print(f"{worker}: {what}", file=sys.stderr)
        sys.exit(1)
