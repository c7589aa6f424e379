"""`poselift export`: from a recording to poses.npz and poses.mp4."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from app.cli.results import write_results
from app.config import load


def export(recording: Path, out: Path, draw: bool, config_path: Optional[Path]) -> None:
    """Write the results beside each other into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    write_results(recording, out, load(config_path), None, out / "poses.mp4" if draw else None)
