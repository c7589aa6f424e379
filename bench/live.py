"""How old a 3D pose is when a program has it, live at the camera's rate, and what each stage and each way between them adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.clip import FPS, FRAMES, SEEN, demo_clip, looped
from bench.part import Goal, Grid, Result, Setup, milliseconds, require
from bench.pipeline import up
from poselift.app.config import Config
from poselift.app.dataflow.messages import Pose3D
from poselift.app.dataflow.tally import Tally

TURNS = 8
GOAL_MS = 2.0, 5.0
"""What the pipeline may add to its stages' compute: median and 95th percentile."""
METHOD = (
    f"The demo clip, {TURNS} times in a row, runs live at its own {FPS} pictures a second through `poselift up`. A program takes the poses "
    "as `poselift.connect` does. Age: from when the picture was due until the pose is in the program's hand. Compute: what each of the "
    "three stages takes from its input to its output; for capture that is the copy into shared memory. Added: the age of each pose less "
    "this compute, so messages, queues and waking up. Checked: every picture is lifted or counted as dropped, poses come in order, and "
    "somebody is seen in 95 % of them."
)
PERCENTS = 50, 95, 99
AGE, COMPUTE, ADDED = "age of the pose", "compute of the stages", "added by the pipeline"


def measure(setup: Setup) -> Result:
    """Alone, and with a recording."""
    turns = 1 if setup.quick else TURNS
    video = looped(demo_clip(setup.config.models_path()), turns, setup.scratch)
    grids, goals = [], []
    for how, folder in (("not recording", None), ("recording", setup.scratch / "live")):
        poses, tally = run_live(setup.config, video, folder, turns * FRAMES)
        durations = durations_of(poses)
        rows = [(name, *(f"{value:.2f} ms" for value in milliseconds(values, *PERCENTS))) for name, values in durations.items()]
        drops = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.dropped.items())) or "none"
        grids.append(Grid((how, *(f"p{percent}" for percent in PERCENTS)), rows))
        grids.append(Grid(("pictures", "lifted", "dropped"), [(str(turns * FRAMES), str(tally.lifted), drops)]))
        added_ms = milliseconds(durations[ADDED], *PERCENTS)
        measured = " / ".join(f"{value:.2f} ms" for value in added_ms[:2])
        goal = "at most {:g} / {:g} ms".format(*GOAL_MS)
        goals.append(Goal(f"{ADDED}, {how}, p50 / p95", measured, goal, all(value <= most for value, most in zip(added_ms, GOAL_MS))))
    return Result(METHOD, grids, goals)


def run_live(config: Config, video: Path, folder: Path | None, frames: int) -> tuple[list[tuple[int, Pose3D]], Tally]:
    """Run a video of so many pictures live, with a recording in `folder`: each pose with the time of its arrival, ns, and the account."""
    config = config.changed(capture={"source": str(video)}, record={"folder": str(folder) if folder else None})
    tally = Tally()
    poses = []
    with up(config, Pose3D) as pipeline:
        for arrival_ns, message in pipeline.messages():
            tally.add(message)
            if isinstance(message, Pose3D):
                poses.append((arrival_ns, message))
        tally.finish()
        _check(poses, tally, frames)
    return poses, tally


def _check(poses: list[tuple[int, Pose3D]], tally: Tally, frames: int) -> None:
    accounted = tally.lifted + sum(tally.dropped.values())
    require(tally.captured == frames, f"live: {tally.captured} pictures captured of {frames}")
    require(accounted == frames, f"live: {accounted} pictures of {frames} are accounted for")
    require(bool((np.diff([pose.frame for _, pose in poses]) > 0).all()), "live: poses came out of order")
    require(tally.seen >= SEEN * tally.lifted, f"live: somebody is seen in {tally.seen} of {tally.lifted} poses only")


def durations_of(poses: list[tuple[int, Pose3D]]) -> dict[str, list[int]]:
    """For each stage, each way, and in all: one duration a pose, ns."""
    found: dict[str, list[int]] = {}
    for arrival_ns, pose in poses:
        capture, detect, lift = pose.trace
        compute_ns = sum(stamp.done_ns - stamp.received_ns for stamp in pose.trace)
        age_ns = arrival_ns - capture.received_ns
        for name, duration_ns in (
            ("capture (from due to in shared memory)", capture.done_ns - capture.received_ns),
            ("capture -> detect", detect.received_ns - capture.done_ns),
            ("detect", detect.done_ns - detect.received_ns),
            ("detect -> lift", lift.received_ns - detect.done_ns),
            ("lift", lift.done_ns - lift.received_ns),
            ("lift -> program", arrival_ns - lift.done_ns),
            (AGE, age_ns),
            (COMPUTE, compute_ns),
            (ADDED, age_ns - compute_ns),
        ):
            found.setdefault(name, []).append(duration_ns)
    return found
