"""`poselift export`: from a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from poselift.app.cli.outputs import claim, set_aside
from poselift.app.cli.results import make_folder, shots_of, write_results
from poselift.app.config import load
from poselift.app.dataflow.messages import Pose3D
from poselift.app.recording.reader import Recording
from poselift.common.errors import UserError


def export(recording: Path, out: Path, draw: bool, overwrite: bool, config_path: Optional[Path]) -> None:
    """Write the results beside each other into a folder. Raises UserError where the recording holds no pose."""
    config, source, recorded = load(config_path), str(recording.absolute()), Recording(recording)
    video = out / "poses.mp4"
    others = claim([out / "poses.npz", *([video] if draw else [])], source, config_path, overwrite=overwrite)
    if next(recorded.of(Pose3D), None) is None:
        raise UserError("; ".join((f"{recording}: nothing to export: this recording holds no 3D pose", *recorded.notes)))
    make_folder(out)
    set_aside(others)
    write_results(recorded, out, config, source, video.name if draw else None, shots_of(recorded))
