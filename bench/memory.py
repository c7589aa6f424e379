"""What every worker's memory does in a long live run."""

from __future__ import annotations

import math

import numpy as np

from bench.clip import FPS, FRAMES, SEEN, demo_clip, looped
from bench.part import Goal, Grid, Result, Setup, require
from bench.pipeline import up
from poselift.app.dataflow.messages import Health, Pose3D
from poselift.app.dataflow.tally import Tally

MINUTES, QUICK_MINUTES = 10.0, 0.3
SETTLED = 0.1
"""After this part of the run (a minute of ten), memory must stay."""
WINDOW = 0.05
"""Values are medians over this part of the run."""
GOAL_BYTES, GOAL_SHARE = 2e6, 0.01
METHOD = (
    "The demo clip runs again and again for {minutes:g} minutes, live under `poselift up --record` (JPEG pictures, the default). Each "
    "worker says once a second how much memory is its own (resident, not shared). Growth is from the median {settled:.0f} s after the "
    "start to the median at the end. Checked: no worker was restarted, every picture is lifted or counted as dropped, somebody is seen in "
    "95 % of the poses."
)


def measure(setup: Setup) -> Result:
    """A row for each worker."""
    minutes = min(setup.minutes, QUICK_MINUTES) if setup.quick else setup.minutes
    turns = math.ceil(minutes * 60 * FPS / FRAMES)
    video = looped(demo_clip(setup.config.models_path()), turns, setup.scratch)
    config = setup.config.changed(capture={"source": str(video)}, record={"folder": str(setup.scratch / "memory")})
    tally = Tally()
    reports: dict[str, list[Health]] = {worker: [] for worker in config.running}
    with up(config, Pose3D, Health) as pipeline:
        for _, message in pipeline.messages():
            tally.add(message)
            if isinstance(message, Health) and message.state not in ("starting", "ending"):
                reports[message.worker].append(message)
        tally.finish()
        accounted = tally.lifted + sum(tally.dropped.values())
        require(accounted == turns * FRAMES, f"memory: {accounted} pictures of {turns * FRAMES} are accounted for")
        require(tally.seen >= SEEN * tally.lifted, f"memory: somebody is seen in {tally.seen} of {tally.lifted} poses only")
        grown = {worker: _grown(worker, found) for worker, found in reports.items()}
    rows = [_row(worker, *memory) for worker, memory in grown.items()]
    met = all(after - before <= max(GOAL_BYTES, GOAL_SHARE * before) for before, after in grown.values())
    most_bytes = max(after - before for before, after in grown.values())
    goal = Goal("growth of a worker's memory: the most", f"{most_bytes / 1e6:+.2f} MB", "under 1 % or 2 MB", met)
    columns = ("worker", f"after {SETTLED * minutes * 60:.0f} s", "at the end", "growth", "")
    return Result(METHOD.format(minutes=minutes, settled=SETTLED * minutes * 60), [Grid(columns, rows)], [goal])


def _row(worker: str, before: float, after: float) -> tuple[str, ...]:
    share = 100 * (after / before - 1)
    return (worker, f"{before / 1e6:.1f} MB", f"{after / 1e6:.1f} MB", f"{(after - before) / 1e6:+.2f} MB", f"{share:+.2f} %")


def _grown(worker: str, reports: list[Health]) -> tuple[float, float]:
    """Memory when the run had settled, and at its end, bytes."""
    processes = {report.pid for report in reports}
    require(len(processes) == 1, f"memory: {worker} had {len(processes)} processes, not one")
    memory = [report.memory_bytes for report in reports]
    begin, length = math.ceil(SETTLED * len(memory)), math.ceil(WINDOW * len(memory))
    return float(np.median(memory[begin : begin + length])), float(np.median(memory[-length:]))
