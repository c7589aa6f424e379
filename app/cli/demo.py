"""`poselift demo`: the live pipeline on a real video at its own pace."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.cli.lift import finish
from poselift.app.cli.outputs import claim, set_aside
from poselift.app.cli.results import shots_of, write_results
from poselift.app.cli.screen import console
from poselift.app.cli.stopping import ended
from poselift.app.cli.up import live, say_recordings
from poselift.app.config import load
from poselift.app.recording.parts import prepare
from poselift.app.recording.reader import Recording
from poselift.models import store

CLIP = "demo_clip"


def demo(out: Path, overwrite: bool, config_path: Optional[Path]) -> None:
    """Fetch what is missing, run, write DIR/session.mcap, DIR/poses.npz and DIR/demo.mp4, and say what was measured."""
    config = load(config_path)
    store.pull(config.models_path(), say=console.print)
    clip = store.path_of(CLIP, config.models_path())
    record = {"folder": str(out.absolute()), "name": "session", "start": True}
    config = config.changed(mode="live", capture={"source": str(clip)}, record=record)
    recording, video = out / "session.mcap", out / "demo.mp4"
    made_from = str(recording.absolute())
    others = claim([recording], str(clip), config_path, overwrite=overwrite)
    others += claim([out / "poses.npz", video], made_from, overwrite=overwrite)
    set_aside(others)
    prepare(recording)
    run = live(config)
    ended(None if recording.exists() else run.stopped, "")
    recorded = Recording(recording)
    write_results(recorded, out, config, made_from, video.name if run.stopped is None else None, shots_of(recorded))
    say_recordings(run.tally, config)
    for line in run.tally.lines():
        print(line)
    finish(run, "what was done until then")
