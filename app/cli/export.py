"""`poselift export`: from a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from app.cli.outputs import claim, set_aside
from app.cli.results import make_folder, shots_of, write_poses_of, write_video_of
from app.config import load
from app.recording.reader import info


def export(recording: Path, out: Path, draw: bool, overwrite: bool, config_path: Optional[Path]) -> None:
    """Write the results beside each other into a folder."""
    config, source = load(config_path), str(recording.absolute())
    video = out / "poses.mp4"
    others = claim([out / "poses.npz", *([video] if draw else [])], source, config_path, overwrite=overwrite)
    info(recording)  # raises where there is none
    make_folder(out)
    set_aside(others)
    write_poses_of(recording, out, config, source)
    if draw:
        write_video_of(recording, video, config, shots_of(recording), source)
