"""How soon a worker that was killed is back, live, with a recording; and that nothing else was harmed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.clip import demo_clip, looped
from bench.part import Goal, Grid, Result, Setup, WrongOutput, require
from bench.pipeline import Up, up
from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Health, Message, Pose2D, Pose3D
from poselift.app.dataflow.tally import Tally
from poselift.app.recording.reader import read

ROUNDS = 5
TURNS = 6
"""The video must be longer than all kills of a round take."""
CALM_S = 2.0
"""The pipeline runs so long before a kill, and after the last."""
PATIENCE_S = 15.0
GOAL_S = 2.0
METHOD = (
    f"kill -9 for each worker in turn, {ROUNDS} rounds, under `poselift up --record` on the demo clip, live. Back: from the kill until the "
    "new process says on the bus that it runs. Next pose: until a 3D pose arrives whose picture was taken after the kill. (A capture that "
    "reads a file must decode up to where it was; with a camera it need not.) Checked: the other workers' processes stay the same, frame "
    "numbers only grow, every captured picture is lifted or counted as dropped with its reason, and the recording can be read to the last "
    "pose."
)


class Recovery(NamedTuple):
    """One kill: seconds until the worker was back, and until the next pose."""

    worker: str
    back_s: float
    pose_s: float


def measure(setup: Setup) -> Result:
    """Each worker's middle and slowest case."""
    video = looped(demo_clip(setup.config.models_path()), TURNS, setup.scratch)
    recoveries: list[Recovery] = []
    dropped: dict[str, int] = {}
    lifted = recorded = 0
    for number in range(1 if setup.quick else ROUNDS):
        watcher, in_file = _round(setup, video, setup.scratch / f"restarts-{number}")
        recoveries += watcher.recoveries
        add(dropped, watcher.tally.dropped)
        lifted, recorded = lifted + watcher.tally.lifted, recorded + in_file
    workers = dict.fromkeys(recovery.worker for recovery in recoveries)
    rows = [_row(worker, [recovery for recovery in recoveries if recovery.worker == worker]) for worker in workers]
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())) or "none"
    account = [("lifted", str(lifted)), ("of these in the recordings", str(recorded)), ("dropped", reasons)]
    slowest_s = max(max(recovery.back_s, recovery.pose_s) for recovery in recoveries)
    goal = Goal("back after kill -9, and the next pose: the slowest", f"{slowest_s:.2f} s", f"within {GOAL_S:g} s", slowest_s <= GOAL_S)
    columns = ("killed", "back, median", "back, slowest", "next pose, median", "next pose, slowest")
    return Result(METHOD, [Grid(columns, rows), Grid(("frames", ""), account)], [goal])


def _row(worker: str, recoveries: list[Recovery]) -> tuple[str, ...]:
    times_s = [np.array([getattr(recovery, name) for recovery in recoveries]) for name in ("back_s", "pose_s")]
    return (worker, *(f"{value:.2f} s" for each in times_s for value in (np.median(each), each.max())))


def _round(setup: Setup, video: Path, folder: Path) -> tuple[_Watcher, int]:
    """One run in which every worker is killed once; and how many of its poses were recorded."""
    config = setup.config.changed(capture={"source": str(video)}, record={"folder": str(folder)})
    with up(config, Pose2D, Pose3D, Health) as pipeline:
        watcher = _Watcher(pipeline)
        watcher.listen(lambda: len(watcher.pids) == len(config.running) and watcher.tally.lifted > 0, "not every worker has started")
        for worker in config.running:
            watcher.stay_calm()
            watcher.kill(worker)
        watcher.stay_calm()
        pipeline.stop()
        watcher.finish()
        tally = watcher.tally
        accounted = tally.lifted + sum(tally.dropped.values())
        require(accounted == tally.captured, f"restarts: {tally.captured} pictures captured, {accounted} accounted for")
        frames = [message.frame for message in read(folder / f"{config.record.name}.mcap", [Pose3D]) if isinstance(message, Pose3D)]
        require(frames[-1:] == [watcher.frame], f"restarts: the last pose is of frame {watcher.frame}, the last one recorded {frames[-1:]}")
    return watcher, len(frames)


class _Watcher:
    """Takes note of what a pipeline says, and refuses what must never be."""

    def __init__(self, pipeline: Up) -> None:
        self.tally = Tally()
        self.recoveries: list[Recovery] = []
        self.pids: dict[str, int] = {}
        self.frame = -1
        """That of the last pose."""
        self._messages = pipeline.messages()
        self._killed, self._killed_ns = "", 0
        self._back_ns, self._pose_ns = 0, 0

    def kill(self, worker: str) -> None:
        """Kill a worker and wait until all is as before."""
        self._killed, self._killed_ns = worker, time.monotonic_ns()
        self._back_ns = self._pose_ns = 0
        os.kill(self.pids[worker], signal.SIGKILL)
        self.listen(lambda: bool(self._back_ns and self._pose_ns), f"{worker} was killed and did not come back")
        self.recoveries.append(Recovery(worker, (self._back_ns - self._killed_ns) / 1e9, (self._pose_ns - self._killed_ns) / 1e9))

    def stay_calm(self) -> None:
        """Listen for a while in which nothing happens."""
        until_s = time.monotonic() + CALM_S
        self.listen(lambda: time.monotonic() > until_s, "nothing is heard")

    def listen(self, reached: Callable[[], bool], otherwise: str) -> None:
        """Listen until something is so. Raises WrongOutput(otherwise) where it takes too long."""
        limit_s = time.monotonic() + PATIENCE_S
        for now_ns, message in self._messages:
            self._note(now_ns, message)
            if reached():
                return
            require(time.monotonic() < limit_s, f"restarts: {otherwise}, within {PATIENCE_S:g} s")
        raise WrongOutput(f"restarts: {otherwise}, and the pipeline has left")

    def finish(self) -> None:
        """Listen to the end."""
        for now_ns, message in self._messages:
            self._note(now_ns, message)
        self.tally.finish()

    def _note(self, now_ns: int, message: Message) -> None:
        self.tally.add(message)
        says = isinstance(message, Health) and message.state != "starting"
        if isinstance(message, Health) and says and self.pids.setdefault(message.worker, message.pid) != message.pid:
            require(message.worker == self._killed, f"restarts: {self._killed} was killed, and {message.worker} became another process")
            self.pids[message.worker] = message.pid
            self._back_ns = now_ns
        if isinstance(message, Pose3D):
            require(message.frame > self.frame, f"restarts: frame {message.frame} came after frame {self.frame}")
            self.frame = message.frame
            if not self._pose_ns and message.trace[0].received_ns > self._killed_ns:
                self._pose_ns = now_ns
