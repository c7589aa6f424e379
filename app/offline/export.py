"""From a recording to the files that people use: poses.npz and a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import numpy as np

from poselift.app.config import Config, load
from poselift.app.dataflow.messages import Frame, MessageError, Pose3D
from poselift.app.export import Content, Drawn
from poselift.app.offline.job import Job, Report, Result
from poselift.app.offline.outputs import claim
from poselift.app.recording.pixels import picture
from poselift.app.recording.reader import Recording
from poselift.common.arrays import Pixels
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
    recorded, source = Recording(recording), str(recording.absolute())
    job = Job(source, out, _with_its_heights(load(config), recorded), drawing="poses" if render else "", report=progress)
    job.others = claim(job.files(out), source, config, overwrite=overwrite)
    if next(recorded.of(Pose3D), None) is None:
        raise UserError("; ".join((f"{recording}: nothing to export: this recording holds no 3D pose", *recorded.notes)))
    job.begin()
    write_results(job, recorded, lambda: pictures_of(job, recorded))
    return job.result


def _with_its_heights(settings: Config, recording: Recording) -> Config:
    """The settings with the heights that people were taken to have when this was recorded, as far as the recording tells them."""
    with suppress(UserError):
        return settings.changed(lift={key: recording.setting("lift", key) for key in ("body_height_m", "body_heights_m")})
    return settings


class TimedPicture(NamedTuple):
    """One picture of the source: its frame number, time and pixels (None where there are none)."""

    frame: int
    t_ns: int
    pixels: Optional[Pixels]


def write_results(job: Job, recording: Recording, pictures: Optional[Callable[[], Iterable[TimedPicture]]]) -> None:
    """Write DIR/poses.npz and its like, and, where the job wants that and there are pictures and poses, what is drawn of them.

    A picture without poses shows those before it as held, for as long as `lift.hold_s`. What of the recording is not in it is a warning.
    """
    result, settings, pictured = job.result, job.config.lift, recording.by_time(Frame).times_ns
    heights_m = settings.body_heights_m or {}
    content = Content(lambda: recording.of(Pose3D), rate_of(recording), settings.body_height_m, job.source, body_heights_m=heights_m)
    said = job.write(job.out, content)
    result.captured, result.lifted = len(pictured), len(recording.by_time(Pose3D).times_ns)
    advance = job.stage("drawing", len(pictured)) if job.drawing and pictures and result.lifted else None
    for line in recording.notes:
        job.warn(line)
    for line in said:
        job.note(line)
    if advance and pictures:
        frames, longest_s = lambda: drawn(recording.of(Pose3D), pictures(), settings.hold_s), float(np.diff(pictured).max(initial=0)) / 1e9
        for line in job.write(job.out, content._replace(frames=frames, longest_s=longest_s, advance=lambda: advance(1)), drawn=True):
            job.note(line)


def pictures_of(job: Job, recording: Recording) -> Iterator[TimedPicture]:
    """The pictures of a recording; one that is damaged is none, with a warning."""
    for frame in recording.of(Frame):
        pixels: Optional[Pixels] = None
        try:
            pixels = picture(frame)
        except MessageError as error:
            job.warn(f"{recording.path}: {error}")
        yield TimedPicture(frame.frame, frame.t_ns, pixels)


def rate_of(recording: Recording) -> float:
    """The recorded source's nominal rate; 0 where it is not known."""
    return next((frame.fps for frame in recording.of(Frame)), 0.0)


def drawn(poses: Iterator[Pose3D], pictures: Iterable[TimedPicture], hold_s: float) -> Iterator[Drawn]:
    """Each picture with the pose of its own frame, or with the one before as held, for a time. Both come in the order of their frames."""
    shown: Optional[Pose3D] = None
    coming = next(poses, None)
    for frame, t_ns, pixels in pictures:
        while coming is not None and coming.frame <= frame:
            shown, coming = coming, next(poses, None)
        if shown is not None and shown.frame != frame:
            shown = replace(shown, held=np.ones_like(shown.held)) if t_ns - shown.t_ns <= hold_s * 1e9 else None
        yield pixels, shown, t_ns
