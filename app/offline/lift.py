"""From a file to 3D poses, as fast as it goes, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Optional, Union

import numpy as np

from poselift.app.config import load
from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.export import Content
from poselift.app.keypoints.files import Clip, read_keypoints
from poselift.app.offline.export import TimedPicture, write_results
from poselift.app.offline.file_run import LOG, TO_POSE_2D, run_on_file, source_settings
from poselift.app.offline.job import Job, Report, Result
from poselift.app.offline.outputs import claim, make_folder
from poselift.app.offline.sequences import lift_sequences, record_with_poses
from poselift.app.processes.pipeline import Run
from poselift.app.recording.parts import prepare
from poselift.app.recording.reader import Recording
from poselift.app.recording.writer import RecordingFull
from poselift.common.atomic import scratch
from poselift.common.errors import UserError
from poselift.models.backends.backend import Model
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.lift import new_lift, new_whole, open_lifter
from poselift.workers.sources import Lost, file_source, open_source

DEFAULT_FPS = 30.0
"""Of keypoints that come without a rate."""

AnyPath = Union[str, "os.PathLike[str]"]


def lift(
    source: AnyPath,
    out: AnyPath,
    *,
    render: bool = False,
    fps: Optional[float] = None,
    lifter: Optional[AnyPath] = None,
    flip: bool = False,
    overwrite: bool = False,
    config: Optional[AnyPath] = None,
    progress: Optional[Report] = None,
) -> Result:
    """Lift a video to 3D poses, as fast as it goes; every frame is processed. Or 2D keypoints. What `poselift lift` does.

    A video (or folder of pictures, or recording) goes through the whole pipeline, in processes of its own, and gives `out`/poses.npz and
    `out`/poses.mcap. Keypoints (.npz, a custom dataset in VideoPose3D's format, of 17 or 21) are lifted in this process; each video of the
    file gives `out`/NAME/poses.npz. With `render`, poses.mp4 is drawn beside it. Results of the same source are replaced, those of another
    are kept under another name, unless `overwrite`.

    `fps` is the rate, in frames a second, of a source that states none. `lifter` is the .onnx or .om file to lift with, instead of the
    config's; with `flip`, a symmetric one lifts the mirror image, too, and the mean of both is taken. `config` is a file like config.yaml.
    `progress` is called in this thread with a `Progress`, about ten times a second or after each frame.

    Nothing is printed: lines for people go to the logger "poselift". It may be called in any thread, and leaves signal handlers alone.
    What is raised meanwhile, such as KeyboardInterrupt, or by `progress`, ends the workers in order and passes: files are whole, and
    `out`/poses.npz holds the frames done until then. A second KeyboardInterrupt waits for nothing.

    A run that breaks off, because a worker died, is no error: `Result.failure` says why, and the files hold what was done until then.
    Raises UserError where the user has something to mend, such as a source that cannot be read, DeviceError where a device failed, and
    OSError where a file cannot be written.
    """
    source = file_source(os.fspath(source))
    is_keypoints = Path(source).suffix.lower() == ".npz" and not Path(source).is_dir()
    settings = load(Path(config) if config else None).changed(capture=source_settings(source, fps))
    if lifter:
        settings = settings.changed(lift={"model": os.fspath(lifter)})
    clips = read_keypoints(Path(source)) if is_keypoints else []
    job = Job(source, Path(out), settings, fps, "poses" if render else "", report=progress)
    folders = [job.out / clip.name for clip in clips] or [job.out]
    results = [path for folder in folders for path in (*job.files(folder), *([] if clips else [folder / LOG]))]
    read = [Path(path) for path in (lifter, config) if path]
    job.others = claim(results, source, *read, overwrite=overwrite)
    with closing(open_lifter(settings)) as network:
        whole = new_whole(network, settings, flip)
        with closing(whole) if whole else nullcontext():
            if is_keypoints:
                _lift_keypoints(job, clips, network, whole)
            elif whole:
                _lift_whole_video(job, whole)
    if not is_keypoints and not whole:  # with the network of the worker's own
        _write(job, *run_on_file(job, "lifting", job.out))
    return job.result


def _lift_whole_video(job: Job, whole: WholeSequence) -> None:
    """With a lifter that looks ahead: the 2D part of the pipeline first, then everyone's whole sequence."""
    make_folder(job.out)
    log = job.out / LOG
    with scratch(job.out) as folder:
        run, recording = run_on_file(job, "detecting", folder, workers=TO_POSE_2D)
        seen = list(recording.of(Pose2D))
        poses = lift_sequences(whole, seen, job.config.lift.hold_s, job.stage("lifting", len(seen)))
        prepare(log)
        try:
            record_with_poses(recording, poses, log)
        except RecordingFull as error:
            run = run._replace(failure=run.failure or str(error))
    _write(job, run, Recording(log))


def _write(job: Job, run: Run, log: Recording) -> None:
    """Write the results of a run; where it was interrupted no video, and raise what interrupted it."""
    result = job.result
    result.recording = log.path
    write_results(job, log, None if run.interrupted else lambda: _pictures(job, log))
    result.captured, result.dropped = run.tally.captured, run.tally.dropped
    if result.lifted < run.tally.lifted and not run.failure:
        run = run._replace(failure=f"{job.out}: the disk is full")
    job.end(run)


def _lift_keypoints(job: Job, clips: list[Clip], network: Model, whole: Optional[WholeSequence]) -> None:
    """Write DIR/NAME/poses.npz, and the drawing beside it, for each video of a keypoint file."""
    if job.fps is not None and all(clip.fps for clip in clips):
        raise UserError(f"--fps {job.fps:g}: {job.source} states its own rate, {clips[0].fps:g} frames a second; leave --fps out")
    job.begin()
    result = job.result
    advance = job.stage("lifting", sum(len(clip.keypoints) for clip in clips))
    for clip in clips:
        rate = clip.fps or job.fps or DEFAULT_FPS
        seen = list(_messages(clip, rate))
        folder = job.out / clip.name
        folder.mkdir(parents=True, exist_ok=True)
        result.captured += len(seen)
        poses: list[Pose3D] = []
        content = _content(poses, rate, job)
        try:
            if whole:
                poses += lift_sequences(whole, seen, job.config.lift.hold_s, advance)
            else:
                with closing(new_lift(network, job.config)) as lift:
                    for pose in seen:
                        poses.append(lift.step(pose))
                        advance(1)
        finally:  # also where it is interrupted in the middle
            if poses or not seen:
                job.write(folder, content)
                result.lifted += len(poses)
        job.write(folder, content, drawn=True)
    for clip in clips:
        if np.isnan(clip.keypoints).any((1, 2)).all():
            job.warn(f"nobody was seen in any of the {len(clip.keypoints)} frames of {clip.name}")
    job.note(f"wrote {len(clips)} videos' poses to {job.out}")


def _content(poses: list[Pose3D], rate: float, job: Job) -> Content:
    """What the files of a video of which there are only keypoints hold: they are drawn without pictures."""
    height_m = job.config.lift.body_height_m
    return Content(lambda: poses, rate, height_m, job.source, lambda: [(None, pose, pose.t_ns) for pose in poses])


def _messages(clip: Clip, fps: float) -> Iterator[Pose2D]:
    nobody = np.zeros(0, np.int64)
    depth_px = np.full(clip.keypoints.shape[:2], np.nan, np.float32) if clip.depth_px is None else clip.depth_px
    for frame, keypoints in enumerate(clip.keypoints):
        person = nobody if np.isnan(keypoints[:, :2]).all() else np.zeros(1, np.int64)
        yield Pose2D(
            frame,
            round(frame * 1e9 / fps),
            clip.width_px,
            clip.height_px,
            person,
            keypoints[None][: len(person)],
            depth_px[None, frame][: len(person)],
        )


def _pictures(job: Job, log: Recording) -> Iterator[TimedPicture]:
    """The source's pictures once more, up to the last that has a pose: the run's own log holds none."""
    last = max((pose.frame for pose in log.of(Pose3D)), default=-1)
    source = open_source(job.config.capture)
    number = 0
    try:
        for picture in source:
            if isinstance(picture, Lost):
                number += picture.pictures
            elif number > last:
                return
            else:
                yield TimedPicture(number, picture.t_ns, picture.pixels)
                number += 1
    finally:
        source.close()
