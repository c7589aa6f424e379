"""From a recording to the files that people use: poses.npz and a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from app.cli.screen import ProgressBar, say
from app.config import Config
from app.dataflow.messages import Frame, Pose3D
from app.errors import UserError
from app.export.npz import write_poses
from app.export.video import Drawn, render
from app.recording.pixels import Picture, picture
from app.recording.reader import Recording


def make_folder(out: Path) -> None:
    """Make the folder for results before the work that fills it. Raises UserError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: this folder cannot be made ({error.strerror}); name another with -o") from None


class Shot(NamedTuple):
    """One picture of the source: its number, time and pixels (None where there are none)."""

    frame: int
    t_ns: int
    pixels: Optional[Picture]


def write_poses_of(recording: Recording, out: Path, config: Config, source: str) -> None:
    """Write DIR/poses.npz, which says that it was made from `source`; what of the recording is not in it is said."""
    path = out / "poses.npz"
    rows = write_poses(path, recording.of(Pose3D), fps=rate_of(recording), body_height_m=config.lift.body_height_m, source=source)
    for note in recording.notes:
        say(f"warning: {note}")
    say(f"wrote {path}: {rows} poses")


def write_video_of(recording: Recording, video: Path, config: Config, shots: Iterator[Shot], source: str) -> None:
    """Draw every picture with its poses; one that the live run skipped shows those before it."""
    with ProgressBar("drawing", None) as bar:
        frames, longest_s, rate = _drawn(recording.of(Pose3D), shots), longest_s_of(recording), rate_of(recording)
        height_m = config.lift.body_height_m
        render(frames, video, rate, lambda: bar.advance(1), body_height_m=height_m, longest_s=longest_s, source=source)
    say(f"wrote {video}")


def shots_of(recording: Recording) -> Iterator[Shot]:
    """The pictures of a recording."""
    return (Shot(frame.frame, frame.t_ns, picture(frame)) for frame in recording.of(Frame))


def rate_of(recording: Recording) -> float:
    """The recorded source's nominal rate; 0 where it is not known."""
    return next((frame.fps for frame in recording.of(Frame)), 0.0)


def longest_s_of(recording: Recording) -> float:
    """The longest time between two frames of a recording, seconds."""
    return float(np.diff(recording.by_time(Frame).times_ns).max(initial=0)) / 1e9


def _drawn(poses: Iterator[Pose3D], shots: Iterator[Shot]) -> Iterator[Drawn]:
    """Both come in the order of their frames."""
    shown: Optional[Pose3D] = None
    coming = next(poses, None)
    for shot in shots:
        while coming is not None and coming.frame <= shot.frame:
            shown, coming = coming, next(poses, None)
        yield shot.pixels, shown, shot.t_ns
