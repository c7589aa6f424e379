"""How the page looks: docs/accuracy.md as a whole, the words around the numbers included."""

from __future__ import annotations

from collections.abc import Mapping

from bench.accuracy.study import Finding
from bench.part import Grid
from bench.report import pipes, word

INTRODUCTION = (
    "How far the lifter's poses are from the truth, and what upsets them. This page and its pictures are written by the command below; "
    "nothing in it is typed by hand.\n\n"
    "The judge is a program kept apart from this repository. It shows people whom no training reads (CMU subjects 05, dance, and 135, "
    "martial arts: 30 clips, 10,475 frames) to random cameras, and adds the noise of a detector that errs but loses nothing. Its baseline "
    "is a ridge regression from a single frame. The lifter is told neither the focal length nor the person's height. The held-out motion, "
    "the cameras and the noise in every part below come from the judge's own code. What else is done to the keypoints, each part says.\n\n"
    "Poses are relative to the root (mid-hip), in the camera's axes. MPJPE is the mean distance of the joints from the truth. N-MPJPE is "
    "the same after the best scale for each frame, PA-MPJPE after the best scale, rotation and translation. MPJVE is the error of the "
    "change from frame to frame. The motion is from mocap.cs.cmu.edu, a database created with funding from NSF EIA-0196217."
)


def page(facts: list[tuple[str, str]], findings: Mapping[str, Finding]) -> str:
    """The whole page as Markdown; pictures are named as they lie in the folder `images` beside it."""
    goals = [(goal.what, goal.measured, goal.goal, word(goal)) for finding in findings.values() for goal in finding.goals]
    pieces = ["# Accuracy", INTRODUCTION, pipes(Grid(("run", ""), facts)), "## Goals", pipes(Grid(("", "measured", "goal", ""), goals))]
    for name, finding in findings.items():
        pieces += [f"## {name.capitalize()}", finding.method]
        pieces += [f"```\n{finding.quote.strip()}\n```"] if finding.quote else []
        for caption, grid in finding.grids:
            pieces += [caption, pipes(grid)] if caption else [pipes(grid)]
        pieces += [f"![{shows}](images/{file})" for file, shows in finding.pictures]
    return "\n\n".join(pieces) + "\n"
