"""`python -m bench.rendered`: renders what is missing, runs both systems, prints, and writes rendered.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from bench.machine import machine
from bench.part import WrongOutput
from bench.rendered.causes import causes, detector_errors
from bench.rendered.study import compare, watch
from bench.report import markdown, show
from poselift.app.config import load
from poselift.common.errors import UserError

MOTION = Path(__file__).parents[3] / "shared/data/mocap/cmu_h36m17.npz"
DOCS = Path(__file__).parents[2] / "docs"
FOLDER = Path("out/rendered")
PLAIN_WIDTH = 160


def main(
    lifter: Annotated[Optional[Path], typer.Option(metavar="FILE.onnx", help="Another lifter than the shipped one.")] = None,
    why: Annotated[bool, typer.Option(help="Find out too where the error comes from.")] = True,
    motion: Annotated[
        Path, typer.Option(metavar="FILE", help="Recorded motion.", show_default="../shared/data/mocap/cmu_h36m17.npz")
    ] = MOTION,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the videos.")] = FOLDER,
    config: Annotated[Optional[Path], typer.Option("--config", metavar="FILE", help="Settings that differ from the defaults.")] = None,
) -> None:
    """Compare poselift with MediaPipe on rendered people, whose joints are known.

    What is found about the shipped lifter, causes included, is docs/rendered.md; anything else is rendered.md beside the videos.
    """
    if not motion.is_file():
        raise UserError(f"{motion}: there is no recorded motion to move people by; give --motion the path of cmu_h36m17.npz")
    settings = load(config).changed(detect={"people": 1})  # in each video there is one
    if lifter is not None:
        settings = settings.changed(lift={"model": str(lifter.absolute())})
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    seen = watch(settings, motion, out.absolute(), say)
    result = compare(seen)
    if why:
        upright = [of for of in seen if not of.shot.roll_deg]
        result.grids.extend([causes(settings, upright, say), detector_errors([of.clip for of in upright])])
    show(console, "rendered", result)
    page = (DOCS if lifter is None and why else out) / "rendered.md"
    page.write_text(
        markdown(
            [fact for fact in machine() if fact[0] != "load before"],
            {"rendered": result},
            {},
            quick=False,
            title="On rendered people, beside MediaPipe",
        )
    )
    console.print(f"Written to {page}", markup=False)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (UserError, WrongOutput) as error:
        sys.exit(f"bench.rendered: {error}")
