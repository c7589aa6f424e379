"""`poselift view`: a window onto a board, or onto a recording."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Optional

from app.config import Config, load
from app.errors import UserError
from app.remote.client import remote
from app.remote.wire import PORT
from app.view.probe import missing
from app.view.recorded import Recorded
from app.view.sources import Live, Replay, Source

HERE = f"127.0.0.1:{PORT}"


def view(target: Optional[str], full: bool, config_path: Optional[Path]) -> None:
    """Until the window is closed. Raises UserError where there is nothing to look at, or no way to show it."""
    config = load(config_path)
    if target and is_file(target) and not Path(target).is_file():
        raise UserError(f"{target}: no such recording")
    why_not = missing()
    if why_not:
        raise UserError(why_not)
    source = opened(target, config)
    from app.view.show import Show
    from app.view.window import Window

    window = Window(Show(source), full=full)
    signal.signal(signal.SIGINT, lambda *_: window.leave())
    signal.signal(signal.SIGTERM, lambda *_: window.leave())
    try:
        window.run()
    finally:
        source.close()


def is_file(target: str) -> bool:
    """Whether a recording is meant, and not a host."""
    return target.endswith(".mcap") or "/" in target or Path(target).is_file()


def opened(target: Optional[str], config: Config) -> Source:
    """What is to be looked at: a recording, the board named, or this machine's own pipeline."""
    if target and is_file(target):
        path = Path(target)
        return Replay(Recorded(path), path.name)
    address = target or config.serve.address or HERE
    return Live(remote(address, config.serve.keys_folder), address)
