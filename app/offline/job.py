"""One piece of work on a file: what goes in, what comes of it, how far it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from poselift.app.config import Config
from poselift.app.export import FORMATS, Content, Format
from poselift.app.offline.outputs import make_folder, set_aside
from poselift.app.processes.pipeline import Run
from poselift.app.redact import printable

log = logging.getLogger("poselift")
log.addHandler(logging.NullHandler())  # else Python would print warnings where the program has set up no logging


@dataclass
class Result:
    """What came of lifting a file.

    The poses of a video: `poselift.open(result.recording)`, one `Pose3D` a frame. Of anything, as arrays: `numpy.load(result.poses[0])`,
    with K rows, one per frame and person: `frame` int64 [K], `t_s` float64 [K] (seconds), `person` int64 [K], and as in Pose3D `joints_m`
    float32 [K, 21, 3] (metres from the hip, camera axes), `sigma_m`, `root_m`, `keypoints`, `confidence`, `warming`, `held` and `contact`.

    files: each file that was written of the poses, in each format: one set of them, or one for each video of a keypoint file.
    recording: every message of the run, without pictures; None for keypoints, which are lifted without one.
    keypoints: the keypoint file that was written, where that was asked for.
    captured: frames of the source.
    lifted: frames that have a pose, be it of nobody; in a keypoint file that was written, keypoints.
    dropped: reason -> frames of the source without a pose.
    warnings: lines for people.
    failure: why the run broke off, for people; empty where it went to the end of the source.
    """

    files: list[Path] = field(default_factory=list)
    recording: Optional[Path] = None
    keypoints: Optional[Path] = None
    captured: int = 0
    lifted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def poses(self) -> list[Path]:
        """Each poses.npz of `files`."""
        return [path for path in self.files if path.suffix == ".npz"]

    @property
    def videos(self) -> list[Path]:
        """Each video of `files`."""
        return [path for path in self.files if path.suffix == ".mp4"]


class Progress(NamedTuple):
    """How far the work is.

    stage: what is being done: "detecting", "lifting" or "drawing".
    done: frames of this stage that are done.
    total: all of its frames; None where that is not known.
    result: what there is so far.
    """

    stage: str
    done: int
    total: Optional[int]
    result: Result


Report = Callable[[Progress], None]
"""Is told how far the work is. What it raises interrupts the work; then it is not called any more."""


@dataclass
class Job:
    """The work, and its result as it grows."""

    source: str
    out: Path
    """The folder for the results."""
    config: Config
    fps: Optional[float] = None
    """The rate that was asked for; the config has it, too."""
    drawing: str = ""
    """The name, without its ending, of what is to be drawn; empty where nothing is."""
    others: Mapping[Path, str] = field(default_factory=dict)
    """Results of other sources in the place of ours: see `claim`."""
    report: Optional[Report] = None
    result: Result = field(default_factory=Result)

    def begin(self) -> None:
        """Just before the first result is written: make the folder, and set the results of other sources aside. Raises UserError."""
        make_folder(self.out)
        for line in set_aside(self.others):
            self.note(line)

    def files(self, folder: Path, drawn: Optional[bool] = None) -> dict[Path, Format]:
        """The files that are to be written to a folder: all, or only those that are drawn, or only the others."""
        names = {f"{self.drawing if found.drawn else 'poses'}{suffix}": found for suffix, found in FORMATS.items()}
        return {folder / name: it for name, it in names.items() if (self.drawing or not it.drawn) and drawn in (None, it.drawn)}

    def write(self, folder: Path, content: Content, drawn: bool = False) -> list[str]:
        """Write what is drawn, or what is not, to a folder; lines that say so."""
        said = []
        for path, found in self.files(folder, drawn).items():
            said.append(f"wrote {path}{found.write(path, content)}")
            self.result.files.append(path)
        return said

    def stage(self, name: str, total: Optional[int]) -> Callable[[int], None]:
        """Begin a stage of so many frames; a function that is told how many more are done."""
        done = 0

        def advance(frames: int) -> None:
            nonlocal done
            done += frames
            report, self.report = self.report, None
            if report:
                report(Progress(name, done, total, self.result))
                self.report = report

        advance(0)
        return advance

    def note(self, line: str) -> None:
        """A line for people, as it happens."""
        log.info("%s", printable(line))

    def warn(self, line: str) -> None:
        """A line for people, which stays with the result."""
        self.result.warnings.append(printable(line))
        log.warning("%s", self.result.warnings[-1])

    def end(self, run: Run) -> None:
        """After a run, and when its results are written: its warnings, and why it broke off. Raises what interrupted it."""
        for line in run.tally.notes:
            self.warn(line)
        self.result.failure = printable(run.failure or "")
        if run.interrupted:
            raise run.interrupted
