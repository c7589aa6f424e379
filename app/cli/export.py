"""`poselift export`: from a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from app.cli.outputs import claim
from app.cli.results import make_folder, shots_of, write_poses_of, write_video_of
from app.config import load


def export(recording: Path, out: Path, draw: bool, overwrite: bool, config_path: Optional[Path]) -> None:
    """Write the results beside each other into a folder."""
    config, source = load(config_path), str(recording.absolute())
    video = out / "poses.mp4"
    claim([out / "poses.npz", *([video] if draw else [])], source, config_path, overwrite=overwrite)
    make_folder(out)
    write_poses_of(recording, out, config, source)
    if draw:
        write_video_of(recording, video, config, shots_of(recording), source)
