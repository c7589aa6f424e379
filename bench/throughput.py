"""Pictures per second of the whole pipeline from a file, against MediaPipe Pose reading the same file in one loop."""

from __future__ import annotations

import os
import subprocess
import time
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from bench.clip import FRAMES, SEEN, demo_clip
from bench.part import Goal, Grid, Result, Setup, WrongOutput, require
from bench.pipeline import COMMAND
from poselift.app.config import Config, save
from poselift.app.dataflow.messages import Frame, Pose3D
from poselift.app.recording.reader import read
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.detection.blazepose_landmarks import COCO_LANDMARKS

ROUNDS = 7
DETECT_THREADS = 1, 2
DECODE_THREADS = 0, 1
"""MediaPipe Pose has no threads to set; how many decode, OpenCV lets choose (0: by itself)."""
GOAL = 2.5
AGREEMENT = 1.0
"""Median distance of the keypoints, per cent of the body's height."""
PEER = Path(__file__).parent / "peers/mediapipe_loop.py"
PYTHON = Path(os.environ.get("POSELIFT_PEER_PYTHON", Path(__file__).parents[1] / ".venv-peer/bin/python"))
METHOD = (
    f"The demo clip ({FRAMES} pictures of 1768x994). Ours is the command `poselift lift --no-render` with all its processes, its recording "
    "included, and with detect.people: 1, as the peer follows one person. The peer is MediaPipe Pose 0.10.14 with model_complexity=1 and "
    "otherwise its defaults, on cv2.VideoCapture in one loop, "
    f"warmed up on the first picture. Both sides run in turn, {ROUNDS} rounds. Time counts from the first picture in hand until the last "
    "pose is ready, without start-up; the last column has the whole command, with it. The ratio is that of each round, between the best "
    "setting of each side. Checked in every run: all pictures have an answer, somebody is seen in 95 % of them, and the 17 keypoints lie "
    f"within {AGREEMENT:g} % of the body's height of MediaPipe's (median)."
)

Landmarks = npt.NDArray[np.float32]
"""float32 [FRAMES, 17, 2], px; NaN where nobody was seen."""


class Timed(NamedTuple):
    """One run of one side."""

    seconds: float
    """From the first picture in hand to the last pose."""
    whole_s: float
    """Of the process, start-up included."""
    keypoints: Landmarks


class Side(NamedTuple):
    """One way of doing the work, and its runs."""

    name: str
    run: Callable[[], Timed]
    runs: list[Timed]

    def median_s(self) -> float:
        """The middle of its runs."""
        return float(np.median([run.seconds for run in self.runs]))


def measure(setup: Setup) -> Result:
    """Every setting of both sides, and the ratio between the best of each."""
    clip = demo_clip(setup.config.models_path())
    ours = [Side(f"poselift, detect.threads {threads}", partial(_ours, setup, clip, threads), []) for threads in DETECT_THREADS]
    theirs = [
        Side(f"MediaPipe, {threads or 'default'} decoding threads", partial(_theirs, setup, clip, threads), [])
        for threads in (DECODE_THREADS if PYTHON.is_file() else ())
    ]
    for _ in range(1 if setup.quick else ROUNDS):
        for side in (side for pair in zip_longest(ours, theirs) for side in pair if side):
            side.runs.append(side.run())
    for side in (*ours, *theirs):
        for run in side.runs:
            _check(side.name, run.keypoints, theirs[0].runs[0].keypoints if theirs else None)
    best_ours = min(ours, key=Side.median_s)
    grid = Grid(("", "pictures a second", "from", "to", "whole command"), [_row(side) for side in (*ours, *theirs)])
    if not theirs:
        note = (("MediaPipe", f"not measured: no {PYTHON}; type: make peer"),)
        return Result(METHOD, [grid, Grid(("", ""), list(note))], [])
    best_theirs = min(theirs, key=Side.median_s)
    ratios = sorted(their.seconds / our.seconds for our, their in zip(best_ours.runs, best_theirs.runs))
    ratio = float(np.median(ratios))
    settings = Grid(("", "best setting"), [("ours", best_ours.name), ("peer", best_theirs.name)])
    measured = f"{ratio:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    return Result(METHOD, [grid, settings], [Goal("throughput, divided by MediaPipe's", measured, f"{GOAL:g} or more", ratio >= GOAL)])


def _row(side: Side) -> tuple[str, ...]:
    rates = [FRAMES / run.seconds for run in side.runs]
    whole_s = np.median([run.whole_s for run in side.runs])
    return (side.name, f"{FRAMES / side.median_s():.1f}", f"{min(rates):.1f}", f"{max(rates):.1f}", f"{whole_s:.2f} s")


def _ours(setup: Setup, clip: Path, threads: int) -> Timed:
    out = setup.scratch / f"lift-{time.monotonic_ns()}"
    out.mkdir()
    settings = out / "config.yaml"
    config: Config = setup.config.changed(detect={"threads": threads, "people": 1})
    save(config, settings)
    whole_s = _run([*COMMAND, "lift", str(clip), "-o", str(out), "--no-render", "--config", str(settings)])
    keypoints = np.full((FRAMES, len(COCO_KEYPOINTS), 2), np.nan, np.float32)
    log = out / "poses.mcap"
    poses = [message for message in read(log, [Pose3D]) if isinstance(message, Pose3D)]
    frames = [message for message in read(log, [Frame]) if isinstance(message, Frame)]
    require([pose.frame for pose in poses] == list(range(FRAMES)), f"throughput: {len(poses)} poses of {FRAMES}, or not in order")
    for pose in poses:
        if (~pose.held).any():
            keypoints[pose.frame] = pose.keypoints[0, : len(COCO_KEYPOINTS), :2]
    return Timed((poses[-1].trace[-1].done_ns - frames[0].trace[0].received_ns) / 1e9, whole_s, keypoints)


def _theirs(setup: Setup, clip: Path, threads: int) -> Timed:
    answer = setup.scratch / "peer.npz"
    whole_s = _run([str(PYTHON), str(PEER), str(clip), str(answer), str(threads)])
    with np.load(answer) as found:
        require(len(found["landmarks"]) == FRAMES, f"throughput: MediaPipe answered {len(found['landmarks'])} pictures of {FRAMES}")
        return Timed(float(found["seconds"]), whole_s, found["landmarks"][:, COCO_LANDMARKS])


def _run(command: list[str]) -> float:
    """Run a command; how long it took, seconds."""
    begin_s = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    whole_s = time.monotonic() - begin_s
    if done.returncode != 0:
        raise WrongOutput(f"throughput: {command[1:4]} left with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return whole_s


def _check(name: str, keypoints: Landmarks, others: Optional[Landmarks]) -> None:
    seen = np.isfinite(keypoints[:, 0, 0])
    require(float(seen.mean()) >= SEEN, f"throughput: {name} sees somebody in {100 * seen.mean():.1f} % of the pictures only")
    if others is None:
        return
    both = seen & np.isfinite(others[:, 0, 0])
    height_px = np.ptp(others[both, :, 1], axis=1)
    error = 100 * np.linalg.norm(keypoints[both] - others[both], axis=2) / height_px[:, np.newaxis]
    require(np.median(error) <= AGREEMENT, f"throughput: {name} is {np.median(error):.2f} % of the body's height off MediaPipe (median)")
