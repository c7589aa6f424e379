"""`python -m bench.accuracy [PART...]`: measures, prints, and writes accuracy.md with its pictures."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from bench.accuracy import calibration, feet, headline, occlusion, rate, smoothness, swaps
from bench.accuracy.judge import DEFAULT_JUDGE, load_judge, scenes
from bench.accuracy.page import page
from bench.accuracy.pictures import require_matplotlib
from bench.accuracy.study import Finding, Study
from bench.machine import machine
from bench.part import Result, WrongOutput
from bench.report import show
from poselift.common.errors import UserError
from poselift.models.backends.backend import open_model
from poselift.models.store import path_of

PARTS: dict[str, Callable[[Study], Finding]] = {
    "accuracy": headline.measure,
    "feet": feet.measure,
    "rate": rate.measure,
    "occlusion": occlusion.measure,
    "swaps": swaps.measure,
    "calibration": calibration.measure,
    "smoothness": smoothness.measure,
}
DOCS = Path(__file__).parents[2] / "docs"
CACHE = Path("out/accuracy")
PLAIN_WIDTH = 140


def main(
    parts: Annotated[Optional[list[str]], typer.Argument(help=f"Any of: {', '.join(PARTS)}. Default: all.", show_default=False)] = None,
    lifter: Annotated[Optional[Path], typer.Option(metavar="FILE.onnx", help="Another lifter than the shipped one.")] = None,
    judge: Annotated[
        Path, typer.Option(metavar="PATH", help="The judge's program.", show_default="../shared/evaluate_lifter.py")
    ] = DEFAULT_JUDGE,
    motion: Annotated[Optional[Path], typer.Option(metavar="PATH", help="The motion it reads. Default: the judge's own.")] = None,
    out: Annotated[
        Optional[Path],
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Folder of accuracy.md. Default: docs for all parts of the shipped lifter, else out/accuracy.",
        ),
    ] = None,
) -> None:
    """Measure how right the lifter is: everything that docs/accuracy.md says."""
    wanted = parts or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: no such part; known: {', '.join(PARTS)}")
    folder = out or (CACHE if parts or lifter else DOCS)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    judging = load_judge(judge, motion)
    require_matplotlib()
    facts = [
        *(fact for fact in machine() if fact[0] != "load before"),
        ("lifter", lifter.name if lifter else "the shipped one"),
        ("command", " ".join(["python -m bench.accuracy", *(parts or [])])),
    ]
    for what, value in facts:
        console.print(f"{what:12}{value}", markup=False)
    model = open_model(lifter or path_of("lifter"))
    findings: dict[str, Finding] = {}
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=CACHE) as scratch:
        study = Study(judging, scenes(judging), model, lifter, CACHE, Path(scratch), folder / "images")
        for part in wanted:
            finding = findings[part] = PARTS[part](study)
            show(console, part, Result(finding.method, [grid for _, grid in finding.grids], finding.goals))
    (folder / "accuracy.md").write_text(page(facts, findings))
    console.print(f"Written to {folder / 'accuracy.md'}", markup=False)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (UserError, WrongOutput) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        sys.exit(2)
