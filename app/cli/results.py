"""From a recording to the files that people use: poses.npz, poses.mp4."""

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


def poses_of(recording: Path) -> Iterator[Pose3D]:
    """The 3D poses of a recording."""
    return (message for message in read(recording, [Pose3D], note=say) if isinstance(message, Pose3D))


def rate_of(recording: Path) -> float:
    """The recorded source's nominal rate; 0 where it is not known."""
    return next((message.fps for message in read(recording, [Frame]) if isinstance(message, Frame)), 0.0)
