"""The workers' state for the user: a table with notes below it or, without a terminal, a line when something changes."""

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
from poselift.app.processes.process_states import DEAD, RUNNING, SILENT, ProcessState

COLOURS = {DEAD: "red", SILENT: "red"}
ALL_EVERY_S = 600.0
"""How often every worker gets a line, although nothing has changed."""
SETTLED_S = 3.0
"""A worker that changes between running and waiting gets a line when it has stayed so for this time."""
_ALTERNATING = ("running", "waiting")


def worker_table(title: str, healths: Mapping[str, Health], process_states: Mapping[str, ProcessState]) -> Group:
    """Each worker's state, rate, age of its data, drops and memory, in the order of `process_states`; below, their notes.

    Notes may be long, and would leave no room for the other columns.
    """
    table = Table(expand=False)
    for name in ("worker", "state", "rate", "age p50", "age p95", "dropped", "memory", "restarts"):
        table.add_column(name, justify="left" if name in ("worker", "state", "dropped") else "right", no_wrap=name != "dropped")
    for worker, process_state in process_states.items():
        health = healths.get(worker)
        restarts = "" if process_state.restarts is None else str(process_state.restarts)
        shown = state(health, process_state)
        cells = [""] * 5
        if health:
            drops = ", ".join(f"{number} {reason}" for reason, number in sorted(health.drops.items()))
            ages = (_ms(health.age_p50_ms), _ms(health.age_p95_ms))
            cells = [f"{health.rate_hz:.1f} /s", *ages, drops, f"{health.memory_bytes / 1e6:.0f} MB"]
        table.add_row(worker, Text(shown, COLOURS.get(shown, "")), *cells, restarts)
    notes = [line for worker in process_states if worker in healths for line in _notes(healths[worker])]
    return Group(Text(title, "italic"), table, *notes)


def state(health: Optional[Health], process_state: ProcessState) -> str:
    """A worker's state: as it reports it while its process is well."""
    if process_state.state != RUNNING:
        return process_state.state
    return health.state if health else SILENT


def _notes(health: Health) -> Iterator[Text]:
    if health.recording:
        yield Text.assemble(f"{health.worker}: ", ("recording", "red"), f" {health.recording}")
    if health.people or health.left_out:
        more = (f", and {health.left_out} more who are not followed", "yellow") if health.left_out else ""
        yield Text.assemble(f"{health.worker}: people: {health.people}", more)
    if health.viewers:
        yield Text(f"{health.worker}: viewers: {health.viewers}")
    if health.note:
        yield Text.assemble(f"{health.worker}: ", (health.note, "yellow"))


def _ms(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f} ms"


class _Reported(NamedTuple):
    """What of a worker gets a new line when it changes."""

    state: str
    restarts: Optional[int]
    reasons: tuple[str, ...]
    recording: str
    left_out: bool
    note: str


class Changes:
    """Lines about workers that have changed: a state, a restart, a new reason of drops, a recording, a note.

    It has no clock: times are passed in, seconds.
    """

    def __init__(self) -> None:
        self._reported: dict[str, _Reported] = {}
        self._states: dict[str, tuple[str, float]] = {}
        """Each worker's state, and since when."""
        self._all_s = -math.inf

    def lines(self, healths: Mapping[str, Health], process_states: Mapping[str, ProcessState], now_s: float) -> list[str]:
        """The lines on what has changed; now and then, one for every worker."""
        if every := now_s - self._all_s >= ALL_EVERY_S:
            self._all_s = now_s
        found = []
        for worker, process_state in process_states.items():
            health = healths.get(worker)
            now = self._now(worker, health, process_state, now_s)
            if every or now != self._reported.get(worker):
                self._reported[worker] = now
                shown = state(health, process_state)
                line = status_line(replace(health, state=shown)) if health else shown
                found.append(f"{worker}: {line}" + (f"; restarts: {process_state.restarts}" if process_state.restarts else ""))
        return found

    def _now(self, worker: str, health: Optional[Health], process_state: ProcessState, now_s: float) -> _Reported:
        shown = state(health, process_state)
        if self._states.get(worker, ("", 0.0))[0] != shown:
            self._states[worker] = shown, now_s
        before = self._reported[worker].state if worker in self._reported else ""
        if {shown, before} <= set(_ALTERNATING) and now_s - self._states[worker][1] < SETTLED_S:
            shown = before
        if health is None:
            return _Reported(shown, process_state.restarts, (), "", False, "")
        return _Reported(shown, process_state.restarts, tuple(sorted(health.drops)), health.recording, health.left_out > 0, health.note)
