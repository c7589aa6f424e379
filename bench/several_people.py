"""What following several people costs: CPU of detect and lift, and the age of a pose, for one, two and four people in the picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext
from typing import Any, NamedTuple

import cv2
import numpy as np

from bench.clip import demo_clip
from bench.crowd import HEIGHT_PX, MOST, RATE_HZ, WIDTH_PX, pictures, tiles, video
from bench.live import AGE, durations_of, run_live
from bench.part import Goal, Grid, Result, Setup, milliseconds, require
from poselift.app.config import Config
from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Frame
from poselift.common.arrays import Pixels
from poselift.workers.detect import Detect, detecting
from poselift.workers.lift import Lift, new_lift, open_lifter

SECONDS, LIVE_SECONDS, QUICK_SECONDS, SETTLED_S = 60, 30, 4, 10
ROUNDS = 3
FOLLOWED = 0.95
"""In at least this part of the pictures everybody is followed, and in so many nobody else is."""
MORE_CPU, MORE_AGE_MS = 0.08, (0.5, 2.0)
TIMES = {"detect": (1.9, 3.6), "lift": (1.5, 1.5)}
"""What two and four people may cost, in times of one."""
AGE_MS = 60.0
PERCENTS = 50, 95, 99
METHOD = (
    f"People of the demo clip, cut out with what is around them, move on the spot, side by side in a picture of {WIDTH_PX}x{HEIGHT_PX}; "
    f"the rest is grey. CPU: {SECONDS} s of pictures, {RATE_HZ} a second, go through detect and lift, in one process without the bus; the "
    f"cases take turns at each picture. It is that of the thread, the mean of all pictures after {SETTLED_S} s, when the finder has "
    "looked at everything once: its looks are in it. The first column is without the looks, which come after the answer. Live: "
    f"`poselift up` on a file of these pictures, at their pace, {LIVE_SECONDS} s, {ROUNDS} times, the cases in turn; age as in the part "
    "on it. Checked: everybody is followed, and nobody else, in 95 % of the pictures; live, every picture is lifted or counted as "
    "dropped, in order."
)


class Case(NamedTuple):
    """So many people in the picture, and the setting detect.people."""

    there: int
    people: int

    def __str__(self) -> str:
        return f"{self.there} in the picture, detect.people: {self.people}"


ALONE, ONE, TWO, FOUR = Case(1, 1), Case(1, MOST), Case(2, MOST), Case(4, MOST)


class Worked(NamedTuple):
    """What one picture took, CPU ms."""

    answer: float
    detect: float
    lift: float


class Side:
    """A case as it runs."""

    def __init__(self, detect: Detect[Any], lift: Lift, shown: Sequence[Sequence[Pixels]], there: int) -> None:
        self._detect, self._lift, self._pictures = detect, lift, iter(pictures(shown, there))
        self.worked: list[Worked] = []
        self.seen: list[int] = []

    def step(self, number: int) -> None:
        """Take the next picture."""
        picture = next(self._pictures)
        answered_ns = 0

        def answer(_: object) -> None:
            nonlocal answered_ns
            answered_ns = time.thread_time_ns()

        frame = Frame(number, round(number * 1e9 / RATE_HZ), WIDTH_PX, HEIGHT_PX, RATE_HZ, 0, 0, 0, "none", b"", 0, ())
        begin_ns = time.thread_time_ns()
        pose = self._detect.step(frame, nullcontext(picture), answer)
        detected_ns = time.thread_time_ns()
        self._lift.step(pose)
        lifted_ns = time.thread_time_ns()
        self.worked.append(
            Worked(*((now - then) / 1e6 for now, then in ((answered_ns, begin_ns), (detected_ns, begin_ns), (lifted_ns, detected_ns))))
        )
        self.seen.append(len(pose.person))


def measure(setup: Setup) -> Result:
    """CPU of all cases, and the age of poses live."""
    shown = tiles(demo_clip(setup.config.models_path()))
    grid, goals = _cpu(setup, shown)
    grids, more = _live(setup, shown)
    return Result(METHOD, [grid, *grids], goals + more)


def _cpu(setup: Setup, shown: Sequence[Sequence[Pixels]]) -> tuple[Grid, list[Goal]]:
    cv2.setNumThreads(setup.config.detect.threads)
    with ExitStack() as opened:
        sides = {case: _side(opened, setup.config, shown, case) for case in (ALONE, ONE, TWO, FOUR)}
        for number in range(RATE_HZ * (QUICK_SECONDS if setup.quick else SECONDS)):
            for side in sides.values():
                side.step(number)
    for case, side in sides.items():
        _check(setup, case, side.seen)
    took = {case: Worked(*np.mean(side.worked[0 if setup.quick else RATE_HZ * SETTLED_S :], 0).tolist()) for case, side in sides.items()}
    rows = [(str(case), *(f"{value:.2f} ms" for value in of)) for case, of in took.items()]
    more = took[ONE].detect / took[ALONE].detect - 1
    what = f"detect's CPU for one person, detect.people: {MOST} against 1"
    goals = [Goal(what, f"{more:+.1%}", f"at most {MORE_CPU:+.0%}", more <= MORE_CPU)]
    for worker, most in TIMES.items():
        for case, limit in zip((TWO, FOUR), most):
            times = getattr(took[case], worker) / getattr(took[ONE], worker)
            goals.append(
                Goal(f"{worker}'s CPU for {case.there} people, divided by one's", f"{times:.2f}", f"at most {limit:g}", times <= limit)
            )
    return Grid(("CPU of a picture", "detect, until the answer", "detect, all", "lift"), rows), goals


def _side(opened: ExitStack, config: Config, shown: Sequence[Sequence[Pixels]], case: Case) -> Side:
    config = config.changed(detect={"people": case.people})
    network = opened.enter_context(closing(open_lifter(config)))
    return Side(opened.enter_context(detecting(config)), opened.enter_context(closing(new_lift(network, config))), shown, case.there)


def _live(setup: Setup, shown: Sequence[Sequence[Pixels]]) -> tuple[list[Grid], list[Goal]]:
    frames, rounds = RATE_HZ * (QUICK_SECONDS if setup.quick else LIVE_SECONDS), 1 if setup.quick else ROUNDS
    files = {there: video(setup.scratch / f"{there}.mp4", shown, there, frames) for there in (1, MOST)}
    ages_ns: dict[Case, list[int]] = {ALONE: [], ONE: [], FOUR: []}
    dropped: dict[Case, dict[str, int]] = {case: {} for case in ages_ns}
    for _ in range(rounds):
        for case in ages_ns:
            poses, tally = run_live(setup.config.changed(detect={"people": case.people}), files[case.there], None, frames)
            _check(setup, case, [int((~pose.held).sum()) for _, pose in poses])
            ages_ns[case] += durations_of(poses)[AGE]
            add(dropped[case], tally.dropped)
    ages_ms = {case: milliseconds(ages, *PERCENTS) for case, ages in ages_ns.items()}
    drops = {case: ", ".join(f"{count} {reason}" for reason, count in sorted(of.items())) or "none" for case, of in dropped.items()}
    rows = [(str(case), *(f"{age:.2f} ms" for age in of), str(frames * rounds), drops[case]) for case, of in ages_ms.items()]
    more_ms = [four - one for one, four in zip(ages_ms[ALONE], ages_ms[ONE])][: len(MORE_AGE_MS)]
    within = all(more <= most for more, most in zip(more_ms, MORE_AGE_MS))
    what = f"age of one person's pose, detect.people: {MOST} against 1, p50 / p95"
    goals = [
        Goal(
            what,
            " / ".join(f"{more:+.2f} ms" for more in more_ms),
            "at most " + " / ".join(f"{most:+g} ms" for most in MORE_AGE_MS),
            within,
        ),
        Goal(f"pictures of {MOST} people that are dropped, live", drops[FOUR], "none", not dropped[FOUR]),
        Goal(f"age of {MOST} people's pose, p95", f"{ages_ms[FOUR][1]:.1f} ms", f"under {AGE_MS:g} ms", ages_ms[FOUR][1] < AGE_MS),
    ]
    return [Grid(("live", *(f"age, p{percent}" for percent in PERCENTS), "pictures", "dropped"), rows)], goals


def _check(setup: Setup, case: Case, seen: Sequence[int]) -> None:
    """All who are there are followed, and nobody else; `seen` so many in each picture."""
    right = float(np.mean(np.array(seen) == case.there))
    require(setup.quick or right >= FOLLOWED, f"people: {case}: in {right:.1%} of the pictures so many are followed")
