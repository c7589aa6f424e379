"""`python -m bench.identity`: draws the people who are missing, follows them, prints, and writes identity.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from bench.identity.actors import HELD_OUT, OTHERS
from bench.identity.scenes import KINDS
from bench.identity.study import compare, sheets, watch
from bench.machine import machine
from bench.part import WrongOutput
from bench.rendered.__main__ import DOCS, MOTION, PLAIN_WIDTH
from bench.report import markdown, show
from poselift.common.errors import UserError

FOLDER = Path("out/identity")


def main(
    kinds: Annotated[Optional[list[str]], typer.Argument(metavar="[KIND]...", help="These alone, such as 'embrace'.")] = None,
    others: Annotated[bool, typer.Option(help="The people by whom the tracker's numbers were chosen.")] = False,
    every: Annotated[int, typer.Option(metavar="N", help="Show the tracker one picture in N.", min=1)] = 1,
    motion: Annotated[
        Path, typer.Option(metavar="FILE", help="Recorded motion.", show_default="../shared/data/mocap/cmu_h36m17.npz")
    ] = MOTION,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the people and pictures.")] = FOLDER,
) -> None:
    """Follow rendered people who cross, hide, leave and embrace, and compare with ByteTrack.

    What is found about all kinds on people held out is docs/identity.md; anything else is identity.md in the folder, beside a sheet of
    pictures of each clip.
    """
    if not motion.is_file():
        raise UserError(f"{motion}: there is no recorded motion to move people by; give --motion the path of cmu_h36m17.npz")
    unknown = [kind for kind in kinds or [] if kind not in KINDS]
    if unknown:
        raise UserError(f"no such kind: {unknown[0]}; there are {', '.join(KINDS)}")
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    clips = watch(OTHERS if others else HELD_OUT, kinds or list(KINDS), every, motion, out.absolute(), say)
    result = compare(clips, out.absolute())
    sheets(clips, out.absolute(), every)
    show(console, "identity", result)
    page = (out if kinds or others or every > 1 else DOCS) / "identity.md"
    facts = [fact for fact in machine() if fact[0] != "load before"]
    page.write_text(markdown(facts, {"identity": result}, {}, quick=False, title="Who is who, under stress"))
    console.print(f"Written to {page}", markup=False)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (UserError, WrongOutput) as error:
        sys.exit(f"bench.identity: {error}")
