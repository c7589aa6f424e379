"""From a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.config import load
from poselift.app.dataflow.messages import Pose3D
from poselift.app.offline.job import Job, Report, Result
from poselift.app.offline.outputs import claim
from poselift.app.offline.results import pictures_of, write_results
from poselift.app.recording.reader import Recording
from poselift.common.errors import UserError


def export(
    recording: Path,
    out: Path,
    *,
    render: bool = False,
    overwrite: bool = False,
    config: Optional[Path] = None,
    progress: Optional[Report] = None,
) -> Result:
    """Write the results beside each other into a folder. Raises UserError where the recording holds no pose."""
    settings, recorded, source = load(config), Recording(recording), str(recording.absolute())
    job = Job(source, out, settings, video="poses.mp4" if render else "", report=progress)
    job.others = claim([out / "poses.npz", *([out / job.video] if render else [])], source, config, overwrite=overwrite)
    if next(recorded.of(Pose3D), None) is None:
        raise UserError("; ".join((f"{recording}: nothing to export: this recording holds no 3D pose", *recorded.notes)))
    job.begin()
    write_results(job, recorded, pictures_of(job, recorded))
    return job.result
