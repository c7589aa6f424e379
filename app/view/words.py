"""What the head-up line and the list of people say, from what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

import numpy as np

from poselift.app.dataflow.messages import Health, Pose3D
from poselift.app.dataflow.streams import STAGES
from poselift.app.view.colours import FROZEN, LIVE, TEXT, WARNING, Rgb

STALE_S = 1.0
"""After so long without a pose, what is shown is called old."""

KEYS = (
    ("space", "freeze, go on; play, pause"),
    ("← →", "one pose back, on; with shift one second"),
    ("home end", "the first moment, the last one"),
    ("1 2 3 4", "view: front, side, top, follow"),
    ("tab", "follow the next person"),
    ("mouse", "drag: turn; right button: move; wheel: zoom"),
    ("P", "picture on, off"),
    ("T", "trails on, off"),
    ("R", "record on the board: start, stop"),
    ("S", "save a screenshot"),
    ("F", "full screen"),
    ("?", "these keys"),
    ("Q", "quit"),
)
"""What each key does."""


class Facts(NamedTuple):
    """What is known about the stream at this moment."""

    source: str
    """The board or the file, for people."""
    mode: str = "live"
    """'live', 'connecting', 'waiting', 'stale', 'ended', 'frozen' (an earlier moment is shown); 'playing', 'paused' (a recording)."""
    old_s: float = 0.0
    """How old what is shown is."""
    behind_s: float = 0.0
    """How far before the newest moment the one shown is, where it is frozen."""
    why: str = ""
    """Why there is no connection, or no pose."""
    rate_hz: Optional[float] = None
    ages_ms: Optional[tuple[float, float]] = None
    age_error_ms: Optional[float] = None
    """How far the ages may be wrong, because two machines' clocks are compared."""
    drops: Optional[int] = None
    recording: str = ""
    """What the board records to; empty while it does not."""
    people: int = 0
    delay_s: float = 0.0
    """How far the 3D poses are behind the picture, with a lifter that looks ahead."""
    says: str = ""
    """A line for a few seconds, such as the board's answer to an order."""


class Tracked(NamedTuple):
    """One person in the list."""

    person: int
    name: str
    words: tuple[str, ...]
    grey: bool
    followed: bool


def state(facts: Facts) -> tuple[str, Rgb]:
    """How the stream is, in words and as the colour of the dot before them."""
    because = f" · {facts.why}" if facts.why else ""
    if facts.mode == "connecting":
        return f"connecting{because}", WARNING
    if facts.mode == "waiting":
        return f"no pose yet{because}", WARNING
    if facts.mode == "stale":
        return f"{facts.old_s:.0f} s old{because}", WARNING
    if facts.mode == "frozen":
        return f"frozen, {facts.behind_s:.1f} s back", FROZEN
    if facts.mode == "live":
        late = f" · 3D {facts.delay_s:.1f} s behind" if facts.delay_s else ""
        return f"live{late}", LIVE
    if facts.mode == "ended":
        return f"ended{because}", WARNING if because else TEXT
    return facts.mode, FROZEN if facts.mode == "playing" else TEXT


def figures(facts: Facts) -> list[tuple[str, str]]:
    """Value and name, the most important first."""
    found = [(str(facts.people), "person" if facts.people == 1 else "people")]
    if facts.ages_ms is not None:
        error = f" ± {facts.age_error_ms:.0f}" if facts.age_error_ms is not None and facts.age_error_ms >= 0.5 else ""
        found.append((f"{facts.ages_ms[0]:.0f} / {facts.ages_ms[1]:.0f}{error}", "ms old"))
    if facts.rate_hz is not None:
        found.append((f"{facts.rate_hz:.0f}", "fps"))
    if facts.drops is not None:
        found.append((str(facts.drops), "dropped"))
    return found


def tracked(pose: Optional[Pose3D], followed: Optional[int], stale: bool) -> list[Tracked]:
    """Who is in the pose."""
    if pose is None:
        return []
    found = []
    for k, person in enumerate(pose.person.tolist()):
        words = ["not seen" if pose.held[k] else f"{100 * float(pose.confidence[k].mean()):.0f} % sure"]
        sigma = pose.sigma_m[k, 1:]
        if np.isfinite(sigma).any():
            words.append(f"± {100 * float(np.sqrt(np.nanmean(sigma**2))):.1f} cm")
        if np.isfinite(pose.root_m[k]).all():
            words.append(f"{float(np.linalg.norm(pose.root_m[k])):.1f} m away")
        if pose.warming[k]:
            words.append("warming up")
        found.append(Tracked(person, f"person {person}", tuple(words), bool(pose.held[k]) or stale, person == followed))
    return found


def dropped(health: Mapping[str, Health], workers: Sequence[str] = STAGES) -> Optional[int]:
    """Pictures that got no pose, so far; None where no worker told."""
    told = [health[worker] for worker in workers if worker in health]
    return sum(sum(report.drops.values()) for report in told) if told else None


def clock(seconds: float) -> str:
    """A time in minutes, seconds and tenths."""
    tenths = round(abs(seconds) * 10)
    return f"{'-' if seconds < 0 and tenths else ''}{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
