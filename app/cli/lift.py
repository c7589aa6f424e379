"""`poselift lift`: from a file to 3D poses, as fast as it goes, nothing lost."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Optional

import numpy as np

from poselift.app.cli.drive import Run, drive
from poselift.app.cli.outputs import Other, claim, set_aside
from poselift.app.cli.results import Shot, make_folder, write_results
from poselift.app.cli.screen import ProgressBar, say
from poselift.app.cli.stopping import ended, keeping
from poselift.app.cli.whole import lift_whole, record_with_poses
from poselift.app.config import Config, load
from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.export.npz import write_poses
from poselift.app.export.video import render
from poselift.app.keypoints.files import Clip, read_keypoints
from poselift.app.processes.process import run_folder
from poselift.app.recording.parts import prepare
from poselift.app.recording.reader import Recording
from poselift.app.recording.writer import RecordingFull
from poselift.common.atomic import scratch
from poselift.common.errors import UserError
from poselift.models.backends.backend import Model
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.lift import new_lift, new_whole, open_lifter
from poselift.workers.sources import Lost, file_source, open_source

LOG = "poses"
"""The run's own recording, DIR/poses.mcap, without pictures."""
DEFAULT_FPS = 30.0
"""Of keypoints that come without a rate."""


def lift(
    source: str,
    out: Path,
    draw: bool,
    fps: Optional[float],
    lifter: Optional[Path],
    flip: bool,
    overwrite: bool,
    config_path: Optional[Path],
) -> None:
    """Lift a video through the whole pipeline, or keypoints through the lifter alone."""
    source = file_source(source)
    is_keypoints = Path(source).suffix.lower() == ".npz" and not Path(source).is_dir()
    config = load(config_path)
    if lifter:
        config = config.changed(lift={"model": str(lifter)})
    clips = read_keypoints(Path(source)) if is_keypoints else []
    folders = [out / clip.name for clip in clips] or [out]
    results = ["poses.npz", *(["poses.mp4"] if draw else []), *([] if clips else [f"{LOG}.mcap"])]
    others = claim((folder / name for folder in folders for name in results), source, lifter, config_path, overwrite=overwrite)
    with closing(open_lifter(config)) as network:
        whole = new_whole(network, config, flip)
        with closing(whole) if whole else nullcontext():
            if is_keypoints:
                lift_keypoints(clips, source, out, draw, fps, config, network, whole, others)
            elif whole:
                lift_whole_video(source, out, draw, fps, config, whole, others)
    if not is_keypoints and not whole:  # with the network of the worker's own
        lift_video(source, out, draw, fps, config, others)


def lift_video(source: str, out: Path, draw: bool, fps: Optional[float], config: Config, others: Sequence[Other]) -> None:
    """Write DIR/poses.npz and DIR/poses.mp4. Exit code 1 where the run broke off; what was done until then is written all the same.

    Where it was told to stop, DIR/poses.npz alone is.
    """
    record = {"folder": str(out.absolute()), "name": LOG, "pictures": "none", "min_free_mb": 0}
    config = config.changed(capture={"source": source, **given(fps)}, record=record)
    run = run_file(config, out, "lifting", fps, others)
    log = Recording(out / f"{LOG}.mcap")
    kept = sum(1 for _ in log.of(Pose3D))
    _write(log, out, config, source, draw and bool(kept) and run.stopped is None)
    if kept < run.tally.lifted and not run.failure:
        run = run._replace(failure=f"{out}: the disk is full")
    finish(run, f"the {kept} frames done until then")


def lift_whole_video(
    source: str, out: Path, draw: bool, fps: Optional[float], config: Config, whole: WholeSequence, others: Sequence[Other]
) -> None:
    """The same with a lifter that looks ahead: the 2D part of the pipeline first, then everyone's whole sequence."""
    log = out / f"{LOG}.mcap"
    make_folder(out)
    with scratch(out) as folder:
        config = config.changed(
            workers=["capture", "detect", "record"],
            capture={"source": source, **given(fps)},
            record={"folder": str(folder.absolute()), "name": LOG, "pictures": "none", "min_free_mb": 0},
        )
        run = run_file(config, folder, "detecting", fps, others)
        recording = Recording(folder / log.name)
        seen = list(recording.of(Pose2D))
        with ProgressBar("lifting", len(seen)) as bar:
            poses = lift_whole(whole, seen, config.lift.hold_s, bar.advance)
        prepare(log)
        try:
            record_with_poses(recording, poses, log)
        except RecordingFull as error:
            run = run._replace(failure=run.failure or str(error))
    done = Recording(log)
    _write(done, out, config, source, draw and bool(poses) and run.stopped is None)
    finish(run, f"the {sum(1 for _ in done.of(Pose3D))} frames done until then")


def given(fps: Optional[float]) -> dict[str, float]:
    """`--fps` as a setting of capture; without it the config's stays."""
    return {} if fps is None else {"fps": fps}


def run_file(config: Config, out: Path, what: str, fps: Optional[float], others: Sequence[Other]) -> Run:
    """Run the config's workers over its source, every frame in order, under a progress bar; the recording goes to `out`.

    `fps` is what was asked for, and the config's already; `others` are set aside once the source is open. Raises UserError where the source
    has times of its own.
    """
    source = open_source(config.capture)
    frames = source.frames
    source.close()
    if fps is not None and not source.heeds_fps:
        raise UserError(f"--fps {fps:g}: {source.name} has times of its own, about {source.fps:.6g} frames a second; leave --fps out")
    set_aside(others)
    log = out / f"{config.record.name}.mcap"
    prepare(log)
    with run_folder(config) as folder, ProgressBar(what, frames) as bar:
        run = drive(config.changed(mode="file", runtime_folder=str(folder)), bar)
    ended(None if log.exists() else run.stopped, "")
    return run


def finish(run: Run, kept: str) -> None:
    """Print warnings; leave with exit code 1 where the run broke off. Raises Stopped where it was told to stop."""
    for note in run.tally.notes:
        say(f"warning: {note}")
    if run.failure:
        say(f"poselift: {run.failure}; kept: {kept}")
        sys.exit(1)
    ended(run.stopped, kept)


def lift_keypoints(
    clips: list[Clip],
    source: str,
    out: Path,
    draw: bool,
    fps: Optional[float],
    config: Config,
    network: Model,
    whole: Optional[WholeSequence],
    others: Sequence[Other],
) -> None:
    """Write DIR/NAME/poses.npz, and the drawing beside it, for each video of a keypoint file."""
    if fps is not None and all(clip.fps for clip in clips):
        raise UserError(f"--fps {fps:g}: {source} states its own rate, {clips[0].fps:g} frames a second; leave --fps out")
    make_folder(out)
    set_aside(others)
    kept = 0
    with keeping(lambda: f"the {kept} frames done until then"), ProgressBar("lifting", sum(len(clip.keypoints) for clip in clips)) as bar:
        for clip in clips:
            rate = clip.fps or fps or DEFAULT_FPS
            seen = list(_messages(clip, rate))
            folder = out / clip.name
            folder.mkdir(parents=True, exist_ok=True)
            poses: list[Pose3D] = []
            try:
                poses.extend(lift_whole(whole, seen, config.lift.hold_s, bar.advance) if whole else _lifted(network, config, seen, bar))
            finally:  # also where it is told to stop in the middle
                if poses or not seen:
                    write_poses(folder / "poses.npz", poses, fps=rate, body_height_m=config.lift.body_height_m, source=source)
                    kept += len(poses)
            if draw:
                frames = ((None, pose, pose.t_ns) for pose in poses)
                render(frames, folder / "poses.mp4", rate, body_height_m=config.lift.body_height_m, source=source)
    for clip in clips:
        if np.isnan(clip.keypoints).any((1, 2)).all():
            say(f"warning: nobody was seen in any of the {len(clip.keypoints)} frames of {clip.name}")
    say(f"wrote {len(clips)} videos' poses to {out}")


def _messages(clip: Clip, fps: float) -> Iterator[Pose2D]:
    nobody = np.zeros(0, np.int64)
    for frame, keypoints in enumerate(clip.keypoints):
        person = nobody if np.isnan(keypoints[:, :2]).all() else np.zeros(1, np.int64)
        yield Pose2D(frame, round(frame * 1e9 / fps), clip.width_px, clip.height_px, person, keypoints[None][: len(person)])


def _lifted(network: Model, config: Config, seen: Iterable[Pose2D], bar: ProgressBar) -> Iterator[Pose3D]:
    with closing(new_lift(network, config)) as lift:
        for pose in seen:
            yield lift.step(pose)
            bar.advance(1)


def _write(log: Recording, out: Path, config: Config, source: str, draw: bool) -> None:
    write_results(log, out, config, source, "poses.mp4" if draw else None, _shots(config, log) if draw else ())


def _shots(config: Config, log: Recording) -> Iterator[Shot]:
    """The source's pictures once more, up to the last that has a pose: the run's own log holds none."""
    last = max((pose.frame for pose in log.of(Pose3D)), default=-1)
    source = open_source(config.capture)
    number = 0
    try:
        for picture in source:
            if isinstance(picture, Lost):
                number += picture.pictures
            elif number > last:
                return
            else:
                yield Shot(number, picture.t_ns, picture.pixels)
                number += 1
    finally:
        source.close()
