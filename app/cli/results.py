"""From a recording to the files that people use: poses.npz and a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from poselift.app.cli.screen import ProgressBar, say
from poselift.app.cli.stopping import keeping
from poselift.app.config import Config
from poselift.app.dataflow.messages import Frame, MessageError, Pose3D
from poselift.app.export.npz import write_poses
from poselift.app.export.video import Drawn, render
from poselift.app.recording.pixels import picture
from poselift.app.recording.reader import Recording
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError


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
    pixels: Optional[Pixels]


def write_results(
    recording: Recording, out: Path, config: Config, source: str, video: Optional[str] = None, shots: Iterable[Shot] = ()
) -> None:
    """Write DIR/poses.npz, and, where it has a name, the video: every picture with its poses. Both say that they were made from `source`.

    A picture without poses shows those before it as held, for as long as `lift.hold_s`. What of the recording is not in it is said.
    """
    rate, height_m, poses = rate_of(recording), config.lift.body_height_m, out / "poses.npz"
    rows: Optional[int] = None
    with keeping(lambda: "" if rows is None else f"{poses}, without a video"):
        rows = write_poses(poses, recording.of(Pose3D), fps=rate, body_height_m=height_m, source=source)
        for note in recording.notes:
            say(f"warning: {note}")
        say(f"wrote {poses}: {rows} poses")
        if video:
            with ProgressBar("drawing", None) as bar:
                frames, longest_s = drawn(recording.of(Pose3D), shots, config.lift.hold_s), longest_s_of(recording)
                render(frames, out / video, rate, lambda: bar.advance(1), body_height_m=height_m, longest_s=longest_s, source=source)
            say(f"wrote {out / video}")


def shots_of(recording: Recording) -> Iterator[Shot]:
    """The pictures of a recording; one that is damaged is none, and said."""
    for frame in recording.of(Frame):
        pixels: Optional[Pixels] = None
        try:
            pixels = picture(frame)
        except MessageError as error:
            say(f"warning: {recording.path}: {error}")
        yield Shot(frame.frame, frame.t_ns, pixels)


def rate_of(recording: Recording) -> float:
    """The recorded source's nominal rate; 0 where it is not known."""
    return next((frame.fps for frame in recording.of(Frame)), 0.0)


def longest_s_of(recording: Recording) -> float:
    """The longest time between two frames of a recording, seconds."""
    return float(np.diff(recording.by_time(Frame).times_ns).max(initial=0)) / 1e9


def drawn(poses: Iterator[Pose3D], shots: Iterable[Shot], hold_s: float) -> Iterator[Drawn]:
    """Each picture with the pose of its own frame, or with the one before as held, for a time. Both come in the order of their frames."""
    shown: Optional[Pose3D] = None
    coming = next(poses, None)
    for shot in shots:
        while coming is not None and coming.frame <= shot.frame:
            shown, coming = coming, next(poses, None)
        if shown is not None and shown.frame != shot.frame:
            shown = replace(shown, held=np.ones_like(shown.held)) if shot.t_ns - shown.t_ns <= hold_s * 1e9 else None
        yield shot.pixels, shown, shot.t_ns
