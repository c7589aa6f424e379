"""What `poselift status` and `poselift up` show of each worker."""

from __future__ import annotations

import io
import math
from typing import Any, Optional

import pytest
from rich.console import Console

from poselift.app.cli.status import process_states
from poselift.app.cli.worker_table import ALL_EVERY_S, SETTLED_S, Changes, worker_table
from poselift.app.dataflow.messages import Health
from poselift.app.processes.process_states import DEAD, LEFT, RUNNING, SILENT, STARTING, ProcessState

UP = ProcessState(RUNNING, 0)


def a_health(worker: str, note: str = "", state: str = "running", **more: Any) -> Health:
    facts = {"rate_hz": 30.0, "age_p50_ms": 1.0, "age_p95_ms": 2.5, "drops": {"newer_frame": 2}, "memory_bytes": 5_000_000, **more}
    return Health(worker, 1, 1, 1, state, note, 9, **facts)


def shown(*healths: Health, width: int = 120, **known: ProcessState) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width).print(worker_table("title", {health.worker: health for health in healths}, known))
    return paper.getvalue()


def rows(text: str) -> dict[str, list[str]]:
    cells = ([cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│"))
    return {worker: rest for worker, *rest in cells}


def test_a_worker_and_one_that_has_said_nothing() -> None:
    table = rows(shown(a_health("lift"), lift=ProcessState(RUNNING, 3), record=ProcessState(STARTING, None)))
    assert table["lift"] == ["running", "30.0 /s", "1.0 ms", "2.5 ms", "2 newer_frame", "5 MB", "3"]
    assert table["record"] == ["starting", "", "", "", "", "", ""]


@pytest.mark.parametrize("state", [SILENT, DEAD, LEFT, STARTING])
def test_a_last_word_does_not_make_a_worker_run(state: str) -> None:
    assert rows(shown(a_health("lift"), lift=ProcessState(state, 1)))["lift"][0] == state


def test_who_is_said_to_run_and_says_nothing_is_silent() -> None:
    assert rows(shown(lift=UP))["lift"][0] == "silent"


def test_what_was_never_measured_is_no_number() -> None:
    text = shown(a_health("lift", age_p50_ms=math.nan, age_p95_ms=math.nan), lift=UP)
    assert "nan" not in text


def test_people_and_who_is_left_out_are_said() -> None:
    assert "people" not in shown(a_health("detect"), detect=UP)
    assert "detect: people: 2\n" in shown(a_health("detect", people=2), detect=UP).replace(" \n", "\n")
    assert "detect: people: 2, and 3 more who are not followed" in shown(a_health("detect", people=2, left_out=3), detect=UP)
    changes, known = Changes(), {"detect": UP}
    changes.lines({"detect": a_health("detect", people=2)}, known, 0.0)
    (line,) = changes.lines({"detect": a_health("detect", people=2, left_out=3)}, known, 1.0)
    assert line.endswith("; people not followed: 3")
    assert changes.lines({"detect": a_health("detect", people=2, left_out=1)}, known, 2.0) == []


def test_what_has_any_length_stands_below_the_table() -> None:
    long = "rtsp://[::1]:554/" + "x" * 300
    said = (a_health("capture", long), a_health("record", "a note", recording="session.mcap"), a_health("serve", viewers=2))
    known = dict.fromkeys(("capture", "record", "serve"), UP)
    text = shown(*said, width=80, **known)
    assert rows(text)["capture"] == ["running", "30.0 /s", "1.0 ms", "2.5 ms", "2", "5 MB", "0"]  # its drops go on in the next line
    below = "".join(line for line in text[text.rindex("┘") :].splitlines())
    assert f"capture: {long}" in below
    assert below.index("record: recording session.mcap") < below.index("record: a note") < below.index("serve: viewers: 2")
    assert "recording" not in shown(a_health("record"), record=UP)


@pytest.mark.parametrize(
    ("told", "here", "heard", "state"),
    [
        (RUNNING, True, True, RUNNING),
        (RUNNING, True, False, SILENT),
        (RUNNING, False, True, DEAD),
        (SILENT, True, False, SILENT),
        (STARTING, False, False, STARTING),
        (STARTING, True, False, STARTING),
        (DEAD, False, False, DEAD),
        (LEFT, False, False, LEFT),
    ],
)
def test_what_is_known_from_outside(told: str, here: bool, heard: bool, state: str) -> None:
    found = process_states({"lift": ProcessState(told, 2)}, {"lift"} if here else (), {"lift"} if heard else ())
    assert found == {"lift": ProcessState(state, 2)}


def test_without_a_terminal_there_is_a_line_when_something_changes() -> None:
    changes = Changes()

    def lines(now_s: float, process_state: ProcessState, health: Optional[Health]) -> list[str]:
        return changes.lines({"lift": health} if health else {}, {"lift": process_state}, now_s)

    assert lines(0, ProcessState(STARTING, 0), None) == ["lift: starting"]
    assert lines(1, UP, a_health("lift", drops={})) == ["lift: running, 30.0 /s, age 1.0 ms (p95 2.5)"]
    for second in range(2, 100):
        assert lines(second, UP, a_health("lift", drops={}, rate_hz=float(second))) == []
    assert len(lines(100, UP, a_health("lift", drops={"newer_frame": 1}))) == 1
    assert lines(101, UP, a_health("lift", drops={"newer_frame": 2})) == []
    assert lines(102, UP, a_health("lift", "a note"))[0].endswith("; dropped 2 newer_frame; a note")
    assert len(lines(103, UP, a_health("lift", "a note", recording="x.mcap"))) == 1
    assert lines(104, ProcessState(DEAD, 0), a_health("lift"))[0].startswith("lift: dead, ")
    assert lines(105, ProcessState(STARTING, 1), a_health("lift"))[0].endswith("; restarts: 1")
    assert lines(ALL_EVERY_S - 1, ProcessState(STARTING, 1), a_health("lift")) == []
    assert len(lines(ALL_EVERY_S, ProcessState(STARTING, 1), a_health("lift"))) == 1


def test_a_slow_camera_does_not_fill_the_log() -> None:
    changes, known = Changes(), {"lift": UP}

    def say(now_s: float, state: str) -> list[str]:
        return changes.lines({"lift": a_health("lift", state=state)}, known, now_s)

    assert len(say(0, "running")) == 1
    assert [line for second in range(1, 400) for line in say(second, "waiting" if second % 2 else "running")] == []
    assert say(400, "waiting") == [] and len(say(400 + SETTLED_S, "waiting")) == 1
