"""`python -m bench [PARTS]`: measures, checks what it measured, prints, and writes out/bench/bench.md."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from bench import handoff, live, memory, npu, restarts, several_people, smallest, stepping, throughput, viewers, window
from bench.machine import machine
from bench.part import Result, Setup, WrongOutput
from bench.report import QUICK, markdown, show
from poselift.app.config import load
from poselift.common.errors import UserError

PARTS: dict[str, Callable[[Setup], Result]] = {
    "throughput": throughput.measure,
    "live": live.measure,
    "handoff": handoff.measure,
    "restarts": restarts.measure,
    "stepping": stepping.measure,
    "npu": npu.measure,
    "people": several_people.measure,
    "smallest": smallest.measure,
    "viewers": viewers.measure,
    "memory": memory.measure,
    "viewer": window.measure,
}

PLAIN_WIDTH = 120


def main(
    parts: Annotated[Optional[list[str]], typer.Argument(help=f"Any of: {', '.join(PARTS)}. Default: all.", show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Go through everything as fast as possible; the figures mean nothing.")] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the memory and viewer parts.")] = memory.MINUTES,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of bench.md.")] = Path("out/bench"),
    config: Annotated[Optional[Path], typer.Option("--config", metavar="FILE", help="Settings that differ from the defaults.")] = None,
) -> None:
    """Measure every figure of docs/bench.md. Exit code 1 where outputs were wrong: their figures are not printed."""
    wanted = parts or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: no such part; known: {', '.join(PARTS)}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    facts = machine()
    for what, value in facts:
        console.print(f"{what:12}{value}", markup=False)
    results: dict[str, Result] = {}
    refused: dict[str, str] = {}
    out.mkdir(parents=True, exist_ok=True)
    for part in wanted:
        with tempfile.TemporaryDirectory(prefix="scratch-", dir=out) as scratch:
            setup = Setup(load(config), quick, minutes, Path(scratch).absolute())
            try:
                results[part] = PARTS[part](setup)
            except WrongOutput as wrong:
                refused[part] = str(wrong)
                console.print(f"{part}: no figures: {wrong}", style="red", markup=False)
                continue
        show(console, part, results[part])
        (out / "bench.md").write_text(markdown(facts, results, refused, quick))
    (out / "bench.md").write_text(markdown(facts, results, refused, quick))
    console.print(f"{QUICK + ' ' if quick else ''}Written to {out / 'bench.md'}", markup=False)
    if refused:
        sys.exit(1)


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"bench: {error}")
