"""`poselift export`: from a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from app.cli.results import make_folder, shots_of, write_poses_of, write_video_of
from app.config import load


def export(recording: Path, out: Path, draw: bool, config_path: Optional[Path]) -> None:
    """Write the results beside each other into a folder."""
    make_folder(out)
    config = load(config_path)
    write_poses_of(recording, out, config)
    if draw:
        write_video_of(recording, out / "poses.mp4", config, shots_of(recording))
