"""The text of the head-up display (`hud.py`), from what is known about the stream and the people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

import numpy as np

from poselift.app.dataflow.messages import Health, Pose3D
from poselift.app.dataflow.streams import STAGES
from poselift.app.view.colours import FROZEN, LIVE, TEXT, WARNING, Rgb
from poselift.common.skeleton import H36M_JOINTS

STALE_S = 1.0
"""After so long without a new pose, what is shown is stale."""

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
"""The keys, and what each does."""


class HudData(NamedTuple):
    """What is known about the stream."""

    source: str
    """The board or the file, for the user."""
    mode: str = "live"
    """'live', 'connecting', 'waiting', 'stale', 'ended', 'frozen' (an earlier time is shown); 'playing', 'paused' (a recording)."""
    age_s: float = 0.0
    """The age of what is shown, if it is stale."""
    behind_s: float = 0.0
    """How far the time that is shown lies before the newest, if frozen."""
    why: str = ""
    """Why there is no connection or no pose."""
    rate_hz: Optional[float] = None
    """New poses a second."""
    ages_ms: Optional[tuple[float, float]] = None
    """Median and 95th percentile of the poses' ages."""
    age_error_ms: Optional[float] = None
    """The largest error of the ages: two machines' clocks are compared."""
    drops: Optional[int] = None
    """Frames without a pose, and what this viewer missed."""
    recording: str = ""
    """What the board records to; empty while it does not."""
    people: int = 0
    left_out: int = 0
    """People who were seen lately beyond those who are followed."""
    delay_s: float = 0.0
    """How far the 3D pose lags behind the picture, with a lifter that needs later frames."""
    notice: str = ""
    """A line that is shown for a few seconds, such as the board's answer to an order."""


class PersonRow(NamedTuple):
    """One person in the list of people."""

    person: int
    name: str
    details: tuple[str, ...]
    grey: bool
    followed: bool


def status_text(data: HudData) -> tuple[str, Rgb]:
    """The state of the stream, and the colour of the dot before it."""
    because = f" · {data.why}" if data.why else ""
    if data.mode == "connecting":
        return f"connecting{because}", WARNING
    if data.mode == "waiting":
        return f"no pose yet{because}", WARNING
    if data.mode == "stale":
        return f"{data.age_s:.0f} s old{because}", WARNING
    if data.mode == "frozen":
        return f"frozen, {data.behind_s:.1f} s back", FROZEN
    if data.mode == "live":
        late = f" · 3D {data.delay_s:.1f} s behind" if data.delay_s else ""
        return f"live{late}", LIVE
    if data.mode == "ended":
        return f"ended{because}", WARNING if because else TEXT
    return data.mode, FROZEN if data.mode == "playing" else TEXT


def metrics(data: HudData) -> list[tuple[str, str]]:
    """Numbers and their units, the most important first."""
    found = [(str(data.people), "person" if data.people == 1 else "people")]
    if data.left_out:
        found.append((f"+ {data.left_out}", "not followed"))
    if data.ages_ms is not None:
        error = f" ± {data.age_error_ms:.0f}" if data.age_error_ms is not None and data.age_error_ms >= 0.5 else ""
        found.append((f"{data.ages_ms[0]:.0f} / {data.ages_ms[1]:.0f}{error}", "ms old"))
    if data.rate_hz is not None:
        found.append((f"{data.rate_hz:.0f}", "fps"))
    if data.drops is not None:
        found.append((str(data.drops), "dropped"))
    return found


def person_rows(pose: Optional[Pose3D], followed: Optional[int], stale: bool) -> list[PersonRow]:
    """The list of people, in the order of their ids: rows stay where they are while somebody is held."""
    if pose is None:
        return []
    found = []
    for k in np.argsort(pose.person).tolist():
        person = int(pose.person[k])
        details = ["not seen" if pose.held[k] else f"{100 * float(pose.confidence[k, : len(H36M_JOINTS)].mean()):.0f} % sure"]
        sigma = pose.sigma_m[k, 1:]
        if np.isfinite(sigma).any():
            details.append(f"± {100 * float(np.sqrt(np.nanmean(sigma**2))):.1f} cm")
        if np.isfinite(pose.root_m[k]).all():
            details.append(f"{float(np.linalg.norm(pose.root_m[k])):.1f} m away")
        if pose.warming[k]:
            details.append("warming up")
        found.append(PersonRow(person, f"person {person}", tuple(details), bool(pose.held[k]) or stale, person == followed))
    return found


def total_drops(health: Mapping[str, Health]) -> Optional[int]:
    """Frames without a pose, so far; None if no worker has reported."""
    reports = [health[worker] for worker in STAGES if worker in health]
    return sum(sum(report.drops.values()) for report in reports) if reports else None


def time_text(seconds: float) -> str:
    """A time as minutes, seconds and tenths."""
    tenths = round(abs(seconds) * 10)
    return f"{'-' if seconds < 0 and tenths else ''}{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
