"""The pipeline over a file: every frame in order, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.dataflow.streams import RECORDER, STAGES, sender_of
from poselift.app.offline.job import Job
from poselift.app.processes.pipeline import Run, run_pipeline
from poselift.app.processes.process import run_folder
from poselift.app.recording.parts import prepare
from poselift.app.recording.reader import Recording
from poselift.common.errors import UserError
from poselift.workers.sources import open_source

TO_POSE_2D = [*STAGES[: STAGES.index(sender_of(Pose2D)) + 1], RECORDER]
"""The workers by which the people in 2D come to a recording."""
LOG = "poses.mcap"
"""The run's own recording, without pictures."""


def source_settings(source: str, fps: Optional[float]) -> dict[str, Any]:
    """The section `capture` for this source; without a rate the config's stays."""
    return {"source": source, **({} if fps is None else {"fps": fps})}


def run_on_file(job: Job, stage: str, folder: Path, **changed: Any) -> tuple[Run, Recording]:
    """Run the workers over the job's source, and what they recorded in `folder`; `changed` are settings of the config.

    Raises UserError where the source cannot be opened, or has times of its own and the job names a rate.
    """
    source = open_source(job.config.capture)
    frames = source.frames
    source.close()
    if job.fps is not None and not source.heeds_fps:
        raise UserError(f"--fps {job.fps:g}: {source.name} has times of its own, about {source.fps:.6g} frames a second; leave --fps out")
    job.begin()
    log, advance = folder / LOG, job.stage(stage, frames)
    record = {"folder": str(folder.absolute()), "name": log.stem, "pictures": "none", "min_free_mb": 0}
    prepare(log)

    with run_folder(job.config) as runtime:
        config = job.config.changed(mode="file", runtime_folder=str(runtime), record=record, **changed)
        run = run_pipeline(config, lambda messages, _: advance(sum(isinstance(it, (Pose2D, Pose3D)) for it in messages)), job.note)
    if run.interrupted and not log.exists():
        raise run.interrupted
    return run, Recording(log)
