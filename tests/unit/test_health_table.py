"""What `poselift status` and `poselift up` show of each worker."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from app.cli.screen import health_table
from app.dataflow.messages import Health


def a_health(worker: str, note: str = "", **more: Any) -> Health:
    return Health(worker, 1, 1, 1, "running", note, 9, 30.0, 1.0, 2.5, {"newer_frame": 2}, 5_000_000, **more)


def shown(*healths: Health) -> str:
    page = io.StringIO()
    Console(file=page, width=120).print(health_table("title", {health.worker: health for health in healths}, {"lift": 3, "record": None}))
    return page.getvalue()


def test_a_worker_and_one_that_has_said_nothing() -> None:
    lift, record = (line.replace("│", " ").split() for line in shown(a_health("lift")).splitlines()[4:6])
    assert lift == ["lift", "running", "30.0", "/s", "1.0", "ms", "2.5", "ms", "2", "newer_frame", "5", "MB", "3"]
    assert record == ["record", "starting"]


def test_what_is_recorded_who_looks_on_and_the_note_stand_below_their_worker() -> None:
    page = shown(a_health("lift"), a_health("record", "a note", recording="session.mcap", viewers=2))
    below = page[page.index("│ record │") :]
    assert below.index("recording session.mcap") < below.index("viewers: 2") < below.index("a note")
    assert "recording" not in shown(a_health("record"))
