"""What became of every frame, for whoever watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poselift.app.cli.up import say_recordings
from poselift.app.config import Config
from poselift.app.dataflow.ledger import NEWER_FRAME, NOT_READY, QUEUE_FULL, WORKER_DIED
from poselift.app.dataflow.messages import End, Health, Pose3D, Stamp
from poselift.app.dataflow.tally import KEPT, Tally
from poselift.app.recording.orders import OFF

MS = 1_000_000


def a_pose(frame: int, held: tuple[bool, ...] = (False,), **changes: Any) -> Pose3D:
    k = len(held)
    joints, flags = np.zeros((k, 21, 3), np.float32), np.zeros(k, bool)
    pose = Pose3D(
        frame,
        1000 + frame,
        64,
        48,
        np.arange(k),
        joints,
        joints,
        joints,
        np.zeros((k, 3)),
        np.zeros((k, 21)),
        np.zeros((k, 4)),
        flags,
        np.array(held, bool),
    )
    trace = (Stamp("capture", 0, 1 * MS), Stamp("detect", 3 * MS, 10 * MS), Stamp("lift", 11 * MS, 13 * MS))
    return replace(pose, incarnation=1, trace=trace, **changes)


def tallied(*messages: Any) -> Tally:
    tally = Tally()
    for message in messages:
        tally.add(message)
    tally.finish()
    assert tally.captured == tally.lifted + sum(tally.dropped.values())
    return tally


def test_a_whole_run() -> None:
    tally = tallied(a_pose(0), a_pose(1), a_pose(2), End("lift", 3, ""))
    assert (tally.captured, tally.lifted, tally.seen, tally.dropped) == (3, 3, 3, {})


def test_nothing_at_all() -> None:
    assert tallied().lines() == ["0 frames captured, 0 lifted, 0 with somebody seen; dropped: none"]


def test_frames_without_anybody_or_with_somebody_held_are_not_seen() -> None:
    tally = tallied(a_pose(0, ()), a_pose(1, (True,)), a_pose(2, (True, False)))
    assert (tally.lifted, tally.seen) == (3, 1)


def test_how_many_people_were_seen_is_said() -> None:
    first, second = replace(a_pose(0), person=np.array([1])), replace(a_pose(1, (True, False)), person=np.array([1, 2]))
    assert tallied(first, second).lines()[-1] == "people seen: 2, at most 1 in one frame"
    third = a_pose(2, (False, False), person=np.array([2, 7]), left_out=3)
    assert tallied(first, second, third, a_pose(3, left_out=1)).lines()[-1] == (
        "people seen: 4, at most 2 in one frame; not followed: up to 3 more at a time (detect.people)"
    )
    assert not any("people" in line for line in tallied(a_pose(0, (True,))).lines())


def test_what_is_missing_is_counted_with_its_reason() -> None:
    tally = tallied(
        a_pose(2),
        a_pose(5, skipped={NEWER_FRAME: 2}),
        a_pose(7),
        replace(a_pose(10), incarnation=2),
        End("detect", 12, ""),
        End("lift", 11, ""),
    )
    assert tally.dropped == {NOT_READY: 2, NEWER_FRAME: 2, QUEUE_FULL: 1, WORKER_DIED: 2 + 1}
    assert tally.captured == 12


def test_a_run_of_which_no_pose_came() -> None:
    assert tallied(End("detect", 4, "")).dropped == {WORKER_DIED: 4}


def test_other_messages_do_not_matter() -> None:
    health = Health("lift", 1, 1, 1, "running", "", 99, 30.0, 1.0, 1.0, {"x": 9}, 1)
    tally = tallied(health, a_pose(0), health)
    assert (tally.captured, tally.lifted, len(tally.ages_ns), tally.dropped) == (1, 1, 1, {})


def test_recordings_are_told_once_each() -> None:
    off = Health("record", 1, 1, 1, "running", "", 99, 30.0, 1.0, 1.0, {}, 1)
    said = (off, replace(off, recording="a.mcap"), replace(off, recording="a.mcap"), off, replace(off, recording="b.mcap"))
    assert list(tallied(*said).recordings) == ["a.mcap", "b.mcap"]


def test_a_recording_is_said_to_be_where_it_is_and_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config().changed(record={"folder": str(tmp_path)})
    off = Health("record", 1, 1, 1, "running", OFF, 99, 30.0, 1.0, 1.0, {}, 1)
    for name in ("whole", "stopped", "full", "running"):
        (tmp_path / f"{name}.mcap").touch()
    full = "full.mcap: No space left on device: the recording is closed, with 12 messages"
    said = [off]
    for name, note in (("whole", ""), ("stopped", OFF), ("full", full), ("gone", "gone.mcap: removed")):
        said += [replace(off, recording=f"{name}.mcap", note=""), replace(off, note=note)]
    other = Health("lift", 1, 1, 1, "running", "starting its networks", 99, 30.0, 1.0, 1.0, {}, 1)
    say_recordings(tallied(*said, replace(off, recording="running.mcap", note=""), other), config)
    assert capsys.readouterr().out.splitlines() == [
        f"recorded to {tmp_path / 'whole.mcap'}",
        f"recorded to {tmp_path / 'stopped.mcap'}",
        f"recorded to {tmp_path / 'full.mcap'}, but not to the end: {full}",
        f"recorded to {tmp_path / 'gone.mcap'}, which was removed since",
        f"recorded to {tmp_path / 'running.mcap'}",
    ]


def test_where_nothing_could_be_recorded_it_is_said_and_where_nothing_was_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    off = Health("record", 1, 1, 1, "running", OFF, 99, 30.0, 1.0, 1.0, {}, 1)
    for health in (off, replace(off, note="")):
        say_recordings(tallied(health), Config())
        assert capsys.readouterr().out == ""
    say_recordings(tallied(replace(off, note="rec: less than 200 MB free")), Config())
    assert capsys.readouterr().out == "not recorded: rec: less than 200 MB free\n"


def test_warnings_are_kept_once() -> None:
    assert tallied(End("detect", 0, "the video is cut short"), End("lift", 0, "the video is cut short"), End("x", 0, "")).notes == [
        "the video is cut short"
    ]


def test_the_age_is_from_the_picture_in_hand_to_the_pose_sent() -> None:
    tally = tallied(a_pose(0))
    assert list(tally.ages_ns) == [13 * MS]
    assert "13.0 ms (median), 13.0 ms" in tally.lines()[1]


def test_memory_does_not_grow_for_ever() -> None:
    assert Tally().ages_ns.maxlen == KEPT


def test_what_nothing_explains_is_said() -> None:
    tally = tallied(a_pose(0))
    tally.captured = 5
    assert "4 not accounted for" in tally.lines()[0]
    assert "accounted" not in tallied(a_pose(0)).lines()[0]
