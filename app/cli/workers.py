"""How the workers are, for people: a table with lines below it, or, where nobody watches, a line when something changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, Optional

from rich.console import Group
from rich.table import Table
from rich.text import Text

from poselift.app.dataflow.messages import Health
from poselift.app.processes.notify import status_line
from poselift.app.processes.standing import DEAD, RUNNING, SILENT, Standing

COLOURS = {DEAD: "red", SILENT: "red"}
ALL_EVERY_S = 600.0
"""How often everybody has a line although nothing has changed."""
SETTLED_S = 3.0
"""A worker runs, or waits for what comes in: that is a change where it stays so for this time."""
_COMES_AND_GOES = ("running", "waiting")


def page(title: str, healths: Mapping[str, Health], standings: Mapping[str, Standing]) -> Group:
    """Each worker's state, rate, age of its data, drops and memory, the workers in the order of `standings`; below, what they have to say.

    What has any length stands below the table, or it would take the columns' room.
    """
    table = Table(expand=False)
    for name in ("worker", "state", "rate", "age p50", "age p95", "dropped", "memory", "restarts"):
        table.add_column(name, justify="left" if name in ("worker", "state", "dropped") else "right", no_wrap=name != "dropped")
    for worker, standing in standings.items():
        health = healths.get(worker)
        restarts = "" if standing.restarts is None else str(standing.restarts)
        shown = state(health, standing)
        cells = [""] * 5
        if health:
            drops = ", ".join(f"{number} {reason}" for reason, number in sorted(health.drops.items()))
            ages = (_ms(health.age_p50_ms), _ms(health.age_p95_ms))
            cells = [f"{health.rate_hz:.1f} /s", *ages, drops, f"{health.memory_bytes / 1e6:.0f} MB"]
        table.add_row(worker, Text(shown, COLOURS.get(shown, "")), *cells, restarts)
    said = [line for worker in standings if worker in healths for line in _said(healths[worker])]
    return Group(Text(title, "italic"), table, *said)


def state(health: Optional[Health], standing: Standing) -> str:
    """What a worker is: its own word while its process stands well."""
    if standing.state != RUNNING:
        return standing.state
    return health.state if health else SILENT


def _said(health: Health) -> Iterator[Text]:
    if health.recording:
        yield Text.assemble(f"{health.worker}: ", ("recording", "red"), f" {health.recording}")
    if health.viewers:
        yield Text(f"{health.worker}: viewers: {health.viewers}")
    if health.note:
        yield Text.assemble(f"{health.worker}: ", (health.note, "yellow"))


def _ms(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f} ms"


class _Told(NamedTuple):
    """What of a worker is worth a line when it changes."""

    state: str
    restarts: Optional[int]
    reasons: tuple[str, ...]
    recording: str
    note: str


class Changes:
    """Lines about the workers, where something has changed: a state, a restart, a new reason of drops, a recording, a note.

    Knows no clock: times are passed in, seconds.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._states: dict[str, tuple[str, float]] = {}
        """What each worker is, and since when."""
        self._all_s = -math.inf

    def lines(self, healths: Mapping[str, Health], standings: Mapping[str, Standing], now_s: float) -> list[str]:
        """What is new; now and then, all."""
        if every := now_s - self._all_s >= ALL_EVERY_S:
            self._all_s = now_s
        found = []
        for worker, standing in standings.items():
            health = healths.get(worker)
            now = self._now(worker, health, standing, now_s)
            if every or now != self._told.get(worker):
                self._told[worker] = now
                shown = state(health, standing)
                said = status_line(replace(health, state=shown)) if health else shown
                found.append(f"{worker}: {said}" + (f"; restarts: {standing.restarts}" if standing.restarts else ""))
        return found

    def _now(self, worker: str, health: Optional[Health], standing: Standing, now_s: float) -> _Told:
        shown = state(health, standing)
        if self._states.get(worker, ("", 0.0))[0] != shown:
            self._states[worker] = shown, now_s
        before = self._told[worker].state if worker in self._told else ""
        if {shown, before} <= set(_COMES_AND_GOES) and now_s - self._states[worker][1] < SETTLED_S:
            shown = before
        if health is None:
            return _Told(shown, standing.restarts, (), "", "")
        return _Told(shown, standing.restarts, tuple(sorted(health.drops)), health.recording, health.note)
