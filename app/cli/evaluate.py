"""`poselift evaluate`: what came of it, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from rich.table import Table

from poselift.app.cli.console import console, say
from poselift.app.cli.reporting import reporting
from poselift.app.evaluation.h36m import ACTIONS
from poselift.app.evaluation.protocols import Scored, average
from poselift.app.offline import evaluate as work

TITLES = ("MPJPE\n(protocol 1)", "PA-MPJPE\n(protocol 2)", "N-MPJPE\n(protocol 3)", "MPJVE\n(velocity)")
"""Of the table's columns, in the order of `Errors`."""


def evaluate(
    dataset: str,
    keypoints: Path,
    positions: Path,
    subjects: str,
    lifter: Optional[Path],
    flip: bool,
    json_path: Optional[Path],
    overwrite: bool,
    config_path: Optional[Path],
) -> None:
    """Lift every trial, and print its errors by action; write them to `json_path` too."""
    chosen = list(dict.fromkeys(subject.strip() for subject in subjects.split(",")))
    with reporting() as bar:
        found = work.evaluate(
            dataset,
            keypoints,
            positions,
            chosen,
            lifter=lifter,
            flip=flip,
            json_path=json_path,
            overwrite=overwrite,
            config=config_path,
            progress=bar,
        )
    _show(found.table, found.facts)
    for line in found.write(json_path) if json_path else []:
        say(line)


def _show(table: Mapping[str, Scored], facts: Mapping[str, Any]) -> None:
    shown = Table("action", title=f"Human3.6M {', '.join(facts['subjects'])}: errors in mm", title_justify="left")
    for title in ("frames", *TITLES):
        shown.add_column(title, justify="right")
    for action, row in table.items():
        shown.add_row(action, str(row.frames), *map(_mm, row.errors))
    shown.add_section()
    shown.add_row("average", str(sum(row.frames for row in table.values())), *map(_mm, average(table)))
    console.print(shown)
    flipped = ", averaged with the mirror image" if facts["flip"] else ""
    say(f"lifter: {facts['lifter']}{flipped}")
    say(f"body height: {facts['body_height_m']} m (lift.body_height_m); one of VideoPose3D's networks has its own scale instead")
    missing = [action for action in ACTIONS if action not in table]
    if missing:
        say(f"warning: the files have no {', '.join(missing)}, so this average is not the published one")


def _mm(error_mm: float) -> str:
    return f"{error_mm:.1f}"
