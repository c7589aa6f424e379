"""What viewers elsewhere cost the board: the age of its poses with ten of them, three frozen and one on a slow link, against none."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.clip import FPS, FRAMES, SEEN, demo_clip, looped
from bench.part import Goal, Grid, Result, Setup, milliseconds, require
from bench.pipeline import Up, up
from bench.viewer import QUALITY, RATE_HZ, WIDTH_PX
from poselift.app.dataflow.messages import Health, Message, Pose3D

ROUNDS, PHASE_S = 6, 2 * FRAMES / FPS
"""A phase is twice the clip: all see the same pictures."""
QUICK_ROUNDS, QUICK_PHASE_S = 1, 6.0
CALM_S = 2.0
"""What was started or ended just now plays no part."""
PATIENCE_S = 60.0
FREE, FROZEN, SLOW = 6, 3, 1
LINK_BITS_PER_S = 256_000
GOAL = 0.10
GOAL_BYTES = 10e6
NONE, ALONE, VIEWERS = "no viewer", "decoding alone", f"{FREE + FROZEN + SLOW} viewers"
METHOD = (
    f"The demo clip runs live, again and again, through `poselift up` with serve. {ROUNDS} times in turn it runs {PHASE_S:.1f} s (the clip "
    f"twice) with no viewer, as long with {FREE + SLOW} processes that decode as much as a viewer but see nothing, and as long with "
    f"{FREE + FROZEN + SLOW} viewers. Each viewer is a process of its own that takes all poses, and pictures of {WIDTH_PX} px (quality "
    f"{QUALITY}, {RATE_HZ:g}/s), and decodes them. {FROZEN} are stopped by SIGSTOP once they have received both, and {SLOW} is behind a "
    f"link of {LINK_BITS_PER_S // 1000} kbit/s. Viewers and link stand for other machines, so here they run only when nothing else wants "
    "to (SCHED_IDLE). What their decoding costs this machine all the same, the second row shows. Age of a pose: from the picture in "
    "capture's hand until lift sends it. Checked: somebody is seen in 95 % of the poses, every viewer that is neither frozen nor slow "
    "receives 90 % of them, the slow one receives poses and pictures, and what the frozen ones miss is counted."
)


class _Phase(NamedTuple):
    begin_ns: int
    end_ns: int
    kind: str

    def holds(self, at_ns: int) -> bool:
        return self.begin_ns <= at_ns < self.end_ns


class _Viewer:
    """A process that looks, and the file of what it said."""

    def __init__(self, address: str, log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen([sys.executable, "-m", "bench.viewer", address], stdout=file)

    def said(self) -> list[dict[str, Any]]:
        whole = self._log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in whole]

    def sees(self) -> bool:
        said = self.said()
        return bool(said) and said[-1]["poses"] > 0 and said[-1]["pictures"] > 0

    def within(self, phase: _Phase) -> tuple[int, int, list[float]]:
        """Poses and pictures received in a phase, and the poses' ages when they came, ms."""
        said = [it for it in self.said() if phase.holds(round(it["at_s"] * 1e9))]
        if len(said) < 2:
            return 0, 0, []
        ages_ms = [age for it in said[1:] for age in it["ages_ms"]]
        return said[-1]["poses"] - said[0]["poses"], said[-1]["pictures"] - said[0]["pictures"], ages_ms


class _Seen(NamedTuple):
    """What came of one kind of viewer in all phases."""

    poses: int
    pictures: int
    ages_ms: list[float]


class _Watcher:
    """Listens to the pipeline all the time."""

    def __init__(self, pipeline: Up) -> None:
        self._messages = pipeline.messages()
        self.poses: list[Pose3D] = []
        self.healths: list[Health] = []

    def listen(self, seconds: float) -> tuple[int, int]:
        """For a time; when it began and ended, ns."""
        begin_ns = time.monotonic_ns()
        self._until(lambda: time.monotonic_ns() - begin_ns >= seconds * 1e9)
        return begin_ns, time.monotonic_ns()

    def wait(self, what: Callable[[], bool], why: str) -> None:
        """Until something is so. Raises WrongOutput where it takes too long."""
        limit_s = time.monotonic() + PATIENCE_S
        self._until(lambda: what() or time.monotonic() > limit_s)
        require(what(), f"viewers: {why}")

    def _until(self, reached: Callable[[], bool]) -> None:
        for _, message in self._messages:
            self._note(message)
            if reached():
                return

    def _note(self, message: Message) -> None:
        if isinstance(message, Pose3D):
            self.poses.append(message)
        elif isinstance(message, Health) and message.worker == "serve":
            self.healths.append(message)


def measure(setup: Setup) -> Result:
    """With and without, in turn."""
    rounds, phase_s = (QUICK_ROUNDS, QUICK_PHASE_S) if setup.quick else (ROUNDS, PHASE_S)
    turns = round(rounds * (3 * phase_s + PATIENCE_S) * FPS / FRAMES)
    video = looped(demo_clip(setup.config.models_path()), turns, setup.scratch)
    port, slow_port = _free_port(), _free_port()
    config = setup.config.changed(capture={"source": str(video)}, serve={"address": f"127.0.0.1:{port}", "keys_folder": None})
    phases: list[_Phase] = []
    seen: dict[str, list[_Seen]] = {"free": [], "slow": []}
    with up(config, Pose3D, Health) as pipeline, _link(slow_port, port):
        watcher = _Watcher(pipeline)
        watcher.wait(lambda: bool(watcher.poses and watcher.healths), "there are no poses")
        for number in range(rounds):
            watcher.listen(CALM_S)
            phases.append(_Phase(*watcher.listen(phase_s), NONE))
            with _processes(["alone"] * (FREE + SLOW), setup.scratch, number) as them:
                watcher.wait(lambda them=them: all(it.sees() for it in them), "a process decodes nothing")  # type: ignore[misc]
                watcher.listen(CALM_S)
                phases.append(_Phase(*watcher.listen(phase_s), ALONE))
            addresses = [f"127.0.0.1:{each}" for each in [port] * (FREE + FROZEN) + [slow_port] * SLOW]
            with _processes(addresses, setup.scratch, number) as them:
                free, frozen, slow = them[:FREE], them[FREE : FREE + FROZEN], them[FREE + FROZEN :]
                watcher.wait(lambda them=them: all(it.sees() for it in them), "a viewer sees nothing")  # type: ignore[misc]
                for viewer in frozen:
                    viewer.process.send_signal(signal.SIGSTOP)
                watcher.listen(CALM_S)
                phases.append(_Phase(*watcher.listen(phase_s), VIEWERS))
                for name, those in (("free", free), ("slow", slow)):
                    seen[name] += [_Seen(*it.within(phases[-1])) for it in those]
        pipeline.stop()
        watcher.listen(PATIENCE_S)
        return _result(phases, watcher, seen)


def _result(phases: list[_Phase], watcher: _Watcher, seen: dict[str, list[_Seen]]) -> Result:
    kinds = (NONE, ALONE, VIEWERS)
    found = {kind: _poses(watcher.poses, phases, kind) for kind in kinds}
    ages = {kind: milliseconds([_age_ns(pose) for pose in poses], 50, 95, 99) for kind, poses in found.items()}
    memory = {kind: _memory(watcher.healths, phases, kind) for kind in kinds}
    _check(found, phases, watcher, seen)
    seconds = {kind: sum(it.end_ns - it.begin_ns for it in phases if it.kind == kind) / 1e9 for kind in kinds}
    rows = [
        (
            kind,
            *(f"{age:.2f} ms" for age in ages[kind]),
            f"{len(found[kind]) / seconds[kind]:.2f} /s",
            f"{np.median(memory[kind]) / 1e6:.1f} MB",
            f"{max(memory[kind]) / 1e6:.1f} MB",
        )
        for kind in kinds
    ]
    columns = ("with", "age p50", "p95", "p99", "poses", "serve's memory, median", "most")
    length_s = seconds[VIEWERS] / (len(phases) // 3)
    received = [
        _row(name, them, length_s) for name, them in ((f"one of the {FREE}", seen["free"]), ("that on the slow link", seen["slow"]))
    ]
    changes = [ages[VIEWERS][1] / ages[kind][1] - 1 for kind in (NONE, ALONE)]
    grown = memory[VIEWERS][-1] - memory[VIEWERS][0] if len(memory[VIEWERS]) > 1 else 0.0
    what = "age of the board's poses, p95: with viewers against"
    goals = [
        Goal(f"{what} none", f"{changes[0]:+.1%}", f"under {GOAL:.0%} more", changes[0] < GOAL),
        Goal(f"{what} their decoding alone", f"{changes[1]:+.1%}", f"under {GOAL:.0%} more", changes[1] < GOAL),
        Goal(
            "serve's memory: from first to last with viewers",
            f"{grown / 1e6:+.1f} MB",
            f"under {GOAL_BYTES / 1e6:g} MB",
            grown < GOAL_BYTES,
        ),
    ]
    return Result(METHOD, [Grid(columns, rows), Grid(("viewer", "poses", "pictures", "age when received, p50", "p95"), received)], goals)


def _row(name: str, them: list[_Seen], length_s: float) -> tuple[str, ...]:
    poses, pictures = (float(np.mean([getattr(it, what) for it in them])) / length_s for what in ("poses", "pictures"))
    p50_ms, p95_ms = np.percentile([age for it in them for age in it.ages_ms], (50, 95))
    return (name, f"{poses:.1f} /s", f"{pictures:.1f} /s", f"{p50_ms:.0f} ms", f"{p95_ms:.0f} ms")


def _check(found: dict[str, list[Pose3D]], phases: list[_Phase], watcher: _Watcher, seen: dict[str, list[_Seen]]) -> None:
    for poses in found.values():
        seen_in = sum(bool((~pose.held).any()) for pose in poses)
        require(seen_in >= SEEN * len(poses), f"viewers: somebody is seen in {seen_in} of {len(poses)} poses only")
    number = len(phases) // 3
    sent = len(found[VIEWERS]) / number
    for it in seen["free"]:
        require(
            it.poses > 0.9 * sent - FPS and it.pictures > 0, f"viewers: one received {it.poses} poses of {sent:.0f}, {it.pictures} pictures"
        )
    for it in seen["slow"]:
        require(it.poses > 0 and it.pictures > 0, f"viewers: the slow one received {it.poses} poses and {it.pictures} pictures")
    missed = sum(count for reason, count in watcher.healths[-1].drops.items() if reason.startswith("no_room"))
    require(missed > FROZEN * number * FPS, f"viewers: only {missed} messages that viewers missed were counted")


def _poses(poses: list[Pose3D], phases: list[_Phase], kind: str) -> list[Pose3D]:
    wanted = [phase for phase in phases if phase.kind == kind]
    return [pose for pose in poses if any(phase.holds(pose.trace[-1].done_ns) for phase in wanted)]


def _age_ns(pose: Pose3D) -> int:
    return pose.trace[-1].done_ns - pose.trace[0].received_ns


def _memory(healths: list[Health], phases: list[_Phase], kind: str) -> list[float]:
    """Of serve, in order, bytes."""
    wanted = [phase for phase in phases if phase.kind == kind]
    return [float(it.memory_bytes) for it in healths if any(phase.holds(it.monotonic_ns) for phase in wanted)]


@contextmanager
def _processes(addresses: list[str], scratch: Path, number: int) -> Iterator[list[_Viewer]]:
    viewers = [_Viewer(address, scratch / f"viewer-{number}-{index}") for index, address in enumerate(addresses)]
    try:
        yield viewers
    finally:
        for viewer in viewers:
            viewer.process.kill()
            viewer.process.wait()


@contextmanager
def _link(slow_port: int, port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "bench.throttle", str(slow_port), str(port), str(LINK_BITS_PER_S)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
