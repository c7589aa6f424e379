"""How often the viewer's window is drawn without a graphics card, beside a pipeline that runs, and what its memory does."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.clip import FPS, FRAMES, SEEN, demo_clip, looped
from bench.display import NoDisplay, virtual_display
from bench.part import Goal, Grid, Result, Setup, WrongOutput, require
from bench.pipeline import up
from poselift.app.dataflow.messages import Pose3D
from poselift.app.dataflow.tally import Tally
from poselift.app.view.colours import PEOPLE

QUICK_MINUTES = 0.2
GOAL_FPS, GOAL_BYTES, GOAL_SHARE = 30.0, 2e6, 0.01
PARTS = 10
SETTLED, WINDOW = 0.15, 0.1
"""The buffer of the last 30 s fills first. Memory is the median over a part of the run this long."""
METHOD = (
    "The window of `poselift view`, 1280x720 on a virtual display, drawn by {renderer}, for {minutes:g} minutes, while `poselift up` runs "
    "the demo clip again and again, at its own pace, on the same cores. The window shows four made-up people at 30 poses and 15 pictures "
    "a second, with trails. It draws at every tick of its clock (60 a second at most), whether anything changed or not. Memory is that of "
    "its own process, from the median {settled:.0f} s after the start to the median at the end. Checked: the last picture shows all four "
    "people; the pipeline accounts for every picture."
)


def measure(setup: Setup) -> Result:
    """Frames a second and memory in one run."""
    minutes = min(setup.minutes, QUICK_MINUTES) if setup.quick else setup.minutes
    seconds = 60 * minutes
    turns = math.ceil((seconds + 10) * FPS / FRAMES)
    video = looped(demo_clip(setup.config.models_path()), turns, setup.scratch)
    config = setup.config.changed(capture={"source": str(video)}, record={"folder": None})
    tally = Tally()
    try:
        with virtual_display(1280, 720) as environment, up(config, Pose3D) as pipeline:
            command = [sys.executable, "-m", "bench.viewer_window", str(seconds), str(setup.scratch / "viewer.png")]
            window = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            for _, message in pipeline.messages():
                tally.add(message)
                if window.poll() is not None:
                    pipeline.stop()
            said, _ = window.communicate()
    except NoDisplay as why:
        raise WrongOutput(f"viewer: {why}") from None
    tally.finish()
    require(window.returncode == 0, f"viewer: the window left with exit code {window.returncode}")
    *reports, last = map(json.loads, said.splitlines())
    require(tally.seen >= SEEN * tally.lifted > 0, f"viewer: somebody is seen in {tally.seen} of {tally.lifted} poses only")
    require(tally.captured == tally.lifted + sum(tally.dropped.values()), "viewer: pictures of the pipeline are not accounted for")
    _check_picture(setup.scratch / "viewer.png")
    return _result(reports, METHOD.format(renderer=last["renderer"], minutes=minutes, settled=SETTLED * seconds), tally)


def _result(reports: list[dict[str, Any]], method: str, tally: Tally) -> Result:
    times, drawn, cpu = (np.array([report[name] for report in reports]) for name in ("t_s", "drawn", "cpu_s"))
    begin = max(1, math.ceil(0.05 * len(times)))
    rates = np.diff(drawn[begin:]) / np.diff(times[begin:])
    mean = float((drawn[-1] - drawn[begin]) / (times[-1] - times[begin]))
    busy = 1e3 * float((cpu[-1] - cpu[begin]) / (drawn[-1] - drawn[begin]))
    memory = np.array([report["memory"] for report in reports])
    settled, length = math.ceil(SETTLED * len(memory)), math.ceil(WINDOW * len(memory))
    before, after = float(np.median(memory[settled : settled + length])), float(np.median(memory[-length:]))
    lowest = float(np.percentile(rates, 5))
    parts = [float(np.median(part)) for part in np.array_split(memory, PARTS)]
    grids = [
        Grid(
            ("pictures of the window a second", "mean", "slowest 5 % of seconds", "CPU for each"),
            [("", f"{mean:.1f}", f"{lowest:.1f}", f"{busy:.1f} ms")],
        ),
        Grid(
            ("memory", "settled", "at the end", "growth"), [("", *(f"{value / 1e6:.1f} MB" for value in (before, after, after - before)))]
        ),
        Grid(
            ("memory, median of each tenth of the time", *(f"{number + 1}" for number in range(PARTS))),
            [("MB", *(f"{value / 1e6:.1f}" for value in parts))],
        ),
        Grid(
            ("pipeline beside it", "captured", "lifted", "dropped"),
            [("", str(tally.captured), str(tally.lifted), str(sum(tally.dropped.values())))],
        ),
    ]
    goals = [
        Goal("pictures of the viewer's window a second, in software, beside a pipeline", f"{mean:.1f}", f"{GOAL_FPS:g}", mean >= GOAL_FPS),
        Goal(
            "growth of the viewer's memory",
            f"{(after - before) / 1e6:+.2f} MB",
            "under 1 % or 2 MB",
            after - before <= max(GOAL_BYTES, GOAL_SHARE * before),
        ),
    ]
    return Result(method, grids, goals)


def _check_picture(path: Path) -> None:
    """Everybody's colour is there, on so many pixels as a person has at least."""
    picture: Any = cv2.imread(str(path))
    require(picture is not None, "viewer: the window showed nothing")
    scene = cv2.cvtColor(picture[:, 720:], cv2.COLOR_BGR2HSV).astype(int)
    for number, colour in enumerate(PEOPLE[:4]):
        hue = int(cv2.cvtColor(np.array([[[round(255 * value) for value in colour[::-1]]]], np.uint8), cv2.COLOR_BGR2HSV)[0, 0, 0])
        pixels = int(((np.abs(scene[..., 0] - hue) <= 8) & (scene[..., 1] > 70) & (scene[..., 2] > 90)).sum())
        require(pixels > 500, f"viewer: person {number} covers {pixels} pixels of the window only")
