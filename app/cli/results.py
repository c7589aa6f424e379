"""From a recording to the files that people use: poses.npz and poses.mp4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from app.cli.screen import ProgressBar, errors
from app.config import Config
from app.export.npz import write_poses
from app.export.video import render
from app.messages import Frame, Pose3D
from app.pixels import Picture, picture
from app.recording import read

Drawn = tuple[Optional[Picture], Optional[Pose3D], int]
"""A picture, the pose in it, and their time, ns."""


def write_results(recording: Path, out: Path, config: Config, pictures: Optional[Iterator[tuple[int, Picture]]], video: Optional[Path]) -> None:
    """Write DIR/poses.npz, and the video where it is wanted; says where they are.

    `pictures` are the source's, by frame number, where the recording has none of its own.
    """
    fps = rate_of(recording)
    path = out / "poses.npz"
    write_poses(path, poses_of(recording), fps=fps, body_height_m=config.lift.body_height_m)
    errors.print(f"wrote {path}")
    if video:
        frames = _drawn(poses_of(recording), pictures or recorded_pictures(recording))
        with ProgressBar("drawing", None) as bar:
            render(frames, video, fps, progress=lambda: bar.advance(1))
        errors.print(f"wrote {video}")


def poses_of(recording: Path) -> Iterator[Pose3D]:
    """The 3D poses of a recording."""
    return (message for message in read(recording, [Pose3D]) if isinstance(message, Pose3D))


def recorded_pictures(recording: Path) -> Iterator[tuple[int, Picture]]:
    """The pictures of a recording, by frame number."""
    for message in read(recording, [Frame]):
        if isinstance(message, Frame) and (pixels := picture(message)) is not None:
            yield message.frame, pixels


def rate_of(recording: Path) -> float:
    """The recorded source's nominal rate; 0 where it is not known."""
    return next((message.fps for message in read(recording, [Frame]) if isinstance(message, Frame)), 0.0)


def _drawn(poses: Iterator[Pose3D], pictures: Iterator[tuple[int, Picture]]) -> Iterator[Drawn]:
    """Each pose with its picture; both come in the order of their frames."""
    number, pixels = -1, None
    for pose in poses:
        while number < pose.frame:
            number, pixels = next(pictures, (pose.frame, None))
        yield pixels if number == pose.frame else None, pose, pose.t_ns
