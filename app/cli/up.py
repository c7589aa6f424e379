"""`poselift up`: every worker on this machine, live."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Optional

from poselift.app.cli.console import LiveTable, say
from poselift.app.cli.stopping import Stopped
from poselift.app.cli.view import HERE, window
from poselift.app.config import Config, load
from poselift.app.dataflow.tally import Tally
from poselift.app.processes.pipeline import Run, run_pipeline
from poselift.app.recording.orders import OFF
from poselift.app.recording.parts import parts
from poselift.app.redact import display_name
from poselift.app.remote.address import parse_address


def up(
    source: Optional[str],
    record: Optional[Path],
    seconds: Optional[float],
    serve: bool,
    serve_at: Optional[str],
    view: bool,
    config_path: Optional[Path],
) -> None:
    """Run until the source ends, the time is over, or Ctrl-C."""
    config = load(config_path).changed(mode="live")
    if source is not None:
        config = config.changed(capture={"source": source})
    if record is not None:
        config = config.changed(record={"folder": str(record.absolute()), "start": True})
    if serve_at or serve or view:
        config = config.changed(serve={"address": serve_at or config.serve.address or HERE})
    if config.serve.address:
        parse_address(config.serve.address)
    with window(config) if view else nullcontext():
        run = live(config, seconds)
    for line in run.tally.lines():
        print(line)
    say_recordings(run.tally, config)
    for note in run.tally.notes:
        say(f"warning: {note}")
    if run.failure:
        say(f"poselift: {run.failure}")
        sys.exit(1)


def say_recordings(tally: Tally, config: Config) -> None:
    """Print where the recordings are that a run has made, and which of them do not go to its end, or are gone."""
    for name, note in tally.recordings.items():
        path = Path(config.record.folder or "") / name
        if not parts(path):
            print(f"recorded to {path}, which was removed since")
        elif note and note != OFF:
            print(f"recorded to {path}, but not to the end: {note}")
        else:
            print(f"recorded to {path}")
    if not tally.recordings and tally.recorder_says not in ("", OFF):
        print(f"not recorded: {tally.recorder_says}")


def live(config: Config, seconds: Optional[float] = None) -> Run:
    """Run the live pipeline under its table; to be told to stop is one of its ends."""
    with LiveTable(f"poselift · {display_name(config.capture.source)}") as table:
        run = run_pipeline(config, table.show, table.say, seconds)
    if run.interrupted and not isinstance(run.interrupted, Stopped):
        raise run.interrupted
    return run
