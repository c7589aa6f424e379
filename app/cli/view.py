"""`poselift view`: a window onto a board, or onto a recording."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import psutil

from poselift.app.cli.console import say
from poselift.app.config import Config, load, save
from poselift.app.dataflow.streams import WORKERS
from poselift.app.processes.command import COMMAND
from poselift.app.processes.process import OWN_GROUP, SUPERVISOR_LOCK, running
from poselift.app.program.board import connect_board, local_server
from poselift.app.recording.parts import parts
from poselift.app.redact import display_name
from poselift.app.remote.address import parse_address
from poselift.app.remote.client import connect_here
from poselift.app.remote.wire import PORT
from poselift.app.view.display_probe import display_problem
from poselift.app.view.recorded_history import RecordedHistory
from poselift.app.view.sources import LiveSource, RecordingSource, Source
from poselift.common.errors import UserError

HERE = f"127.0.0.1:{PORT}"
LONG_GB = 2.0
"""A recording is looked through as a whole when it is opened: with more than this for so long that it is said."""
LEAVES_WITHIN_S = 5.0
NICENESS = 5
"""Of a window beside the pipeline: the pipeline goes first."""


def view(target: Optional[str], full: bool, wait: bool, config_path: Optional[Path]) -> None:
    """Show the window until it is closed. Raises UserError if there is nothing to look at, or no display."""
    config = load(config_path)
    if target and is_file(target) and not Path(target).is_file():
        raise UserError(f"{display_name(target)}: no such recording")
    if problem := display_problem():
        raise UserError(problem)
    source = opened(target, config, wait)
    from poselift.app.view.controller import Controller
    from poselift.app.view.window import Window

    shown = Window(Controller(source), full=full)
    signal.signal(signal.SIGINT, lambda *_: shown.request_close())
    signal.signal(signal.SIGTERM, lambda *_: shown.request_close())
    try:
        shown.run()
    finally:
        source.close()


def is_file(target: str) -> bool:
    """Whether a recording is meant, and not a host."""
    return target.lower().endswith(".mcap") or "/" in target or Path(target).is_file()


def opened(target: Optional[str], config: Config, wait: bool = False) -> Source:
    """What is to be looked at: a recording, the board named, or this machine's own pipeline, where `wait` the one that is to come.

    Raises UserError.
    """
    if target and is_file(target):
        path = Path(target)
        size_gb = sum(part.stat().st_size for part in parts(path)) / 1e9
        if size_gb > LONG_GB:
            say(f"looking through {path}, {size_gb:.0f} GB …")
        history = RecordedHistory(path)
        for note in history.notes:
            say(f"warning: {note}")
        return RecordingSource(history, path.name)
    if target:
        return LiveSource(connect_board(target, config), target)
    serve = local_server(config)
    if serve is None and not wait:
        folder = config.runtime_path()
        runs = any(running(folder, name) for name in (SUPERVISOR_LOCK, *WORKERS))
        what = "poselift runs here, but serves no viewers" if runs else "no poselift is running here"
        raise UserError(f"{what} (runtime folder {folder}); type: poselift up SOURCE --serve, or to look elsewhere: poselift view HOST")
    serve = serve or config.serve
    address = serve.address or HERE
    return LiveSource(connect_here(address, serve.keys_folder), str(parse_address(address).from_here()))


@contextmanager
def window(config: Config) -> Iterator[None]:
    """A window onto this machine's pipeline, in a process of its own: it may be closed earlier, and is at the end. Raises UserError."""
    if problem := display_problem():
        raise UserError(problem)
    with tempfile.TemporaryDirectory(prefix="poselift-view-") as folder:
        save(config, Path(folder) / "config.yaml")
        command = [*COMMAND, "view", "--wait", "--config", str(Path(folder) / "config.yaml")]
        # Not of the terminal's group: Ctrl-C is for the pipeline, which ends the window behind it.
        process = subprocess.Popen(command, **OWN_GROUP)
        psutil.Process(process.pid).nice(NICENESS)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(LEAVES_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
