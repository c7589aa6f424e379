"""Asks pip which wheels it would install on the boards: `python tests/board_wheels.py FOLDER` leaves one report each. `make board` does.

Ubuntu 18.04 on the Atlas 200 DK has glibc 2.27, Ubuntu 22.04 on the Atlas 200I DK A2 has 2.35. What the tags mean: PEP 425, PEP 600.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
OLDEST_GLIBC = 17
"""manylinux2014 and manylinux_2_17 are two names of one thing."""


class Board(NamedTuple):
    """One board's Python: which wheels fit, and what else holds there."""

    name: str
    python: tuple[int, int]
    glibc: int
    """The second number of its version, 2.x."""
    constraint: str = ""

    @property
    def platforms(self) -> list[str]:
        """The platform tags that fit, the newest first."""
        return [f"manylinux_2_{minor}_aarch64" for minor in range(self.glibc, OLDEST_GLIBC - 1, -1)] + ["manylinux2014_aarch64"]


BOARDS = (
    Board("200dk-python3.9", (3, 9), 27),
    Board("200dk-python3.9-numpy1", (3, 9), 27, "numpy<2"),  # a CANN older than numpy 2 may want it
    Board("200idk-python3.9", (3, 9), 35),
    Board("200idk-python3.10", (3, 10), 35),
    Board("200idk-python3.11", (3, 11), 35),
)


def resolve(board: Board, folder: Path) -> bool:
    """Leave pip's report in FOLDER/NAME.json, or what it complained of in FOLDER/NAME.txt."""
    report, complaint, constraint = (folder / f"{board.name}{ending}" for ending in (".json", ".txt", ".constraint"))
    constraint.write_text(board.constraint)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed"]
    command += ["--target", str(folder / "nothing"), "--only-binary=:all:", "--constraint", str(constraint), "--report", str(report)]
    command += ["--implementation", "cp", "--python-version", ".".join(map(str, board.python))]
    command += [word for platform in board.platforms for word in ("--platform", platform)]
    done = subprocess.run([*command, str(REPOSITORY)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        report.unlink(missing_ok=True)
        complaint.write_text(done.stderr)
    else:
        complaint.unlink(missing_ok=True)
    return not done.returncode


def main(folder: Path) -> None:
    """Every board's report."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        if not resolve(board, folder):
            print(f"no set of wheels for {board.name}: {folder / board.name}.txt says why")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
