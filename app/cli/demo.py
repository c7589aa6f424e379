"""`poselift demo`: the live pipeline on a real video at its own pace."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.cli.console import console
from poselift.app.cli.reporting import reporting
from poselift.app.cli.up import live, say_recordings
from poselift.app.config import load
from poselift.app.offline.export import pictures_of, write_results
from poselift.app.offline.job import Job
from poselift.app.offline.outputs import claim
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
    recording = out / "session.mcap"
    job = Job(str(recording.absolute()), out, config, drawing="demo")
    others = claim([recording], str(clip), config_path, overwrite=overwrite)
    others |= claim(job.files(out), job.source, overwrite=overwrite)
    with reporting() as bar:
        job.others, job.report, bar.result = others, bar, job.result
        job.begin()
        prepare(recording)
        run = live(config)
        if run.interrupted and not recording.exists():
            raise run.interrupted
        recorded = Recording(recording)
        write_results(job, recorded, None if run.interrupted else lambda: pictures_of(job, recorded))
        bar.bars.stop()  # which would break what is printed below it at the terminal's width
        say_recordings(run.tally, config)
        for line in run.tally.lines():
            print(line)
        job.end(run)
