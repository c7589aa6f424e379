"""Recording on and off: which file, what is said, what is counted, and what a recorder that comes back does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_recording import a_pose2d, session

from poselift.app.config import Config
from poselift.app.dataflow.memory_bus import MemoryBus, MemoryHub
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Pose2D, Stamp
from poselift.app.dataflow.streams import WATCH, links
from poselift.app.processes.loop import Loop
from poselift.app.recording.orders import OFF, RECORD_START, RECORD_STOP
from poselift.app.recording.parts import parts
from poselift.app.recording.reader import read
from poselift.app.recording.writer import RecordingFull
from poselift.common.errors import UserError
from poselift.workers.record import DISK_FAILED, DISK_FULL, Record, run

NOON_S = 1_795_262_400.0
"""2026-11-21, 12:00:00 UTC."""


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    def make(mode: str = "live", **changes: Any) -> Config:
        record = {"folder": str(tmp_path / "rec"), "min_free_mb": 0, "start": False, **changes}
        return Config().changed(mode=mode, runtime_folder=str(tmp_path / "run"), record=record)

    return make


@pytest.fixture
def a_record() -> Iterator[Any]:
    """A function that opens a recorder at noon."""
    opened: list[Record] = []

    def make(config: Config) -> Record:
        opened.append(Record(config, lambda: NOON_S))
        return opened[-1]

    yield make
    for record in opened:
        record.close()


def frames(path: Path) -> list[int]:
    notes: list[str] = []
    found = [message.frame for message in read(path, [Frame], note=notes.append) if isinstance(message, Frame)]
    assert notes == [], "it was not closed whole"
    return found


def test_it_begins_by_itself_under_its_own_name(settings: Any, a_record: Any, tmp_path: Path) -> None:
    record = a_record(settings(start=True))
    assert (record.recording, record.note, record.lost) == ("session.mcap", "", "")
    assert all(map(record.step, session(3)))
    record.close()
    assert frames(tmp_path / "rec" / "session.mcap") == [0, 1, 2]


def test_it_waits_for_an_order_where_it_is_told_to(settings: Any, a_record: Any, tmp_path: Path) -> None:
    record = a_record(settings())
    assert (record.recording, record.note, record.lost) == ("", OFF, "")
    assert not record.step(a_pose2d(0)) and not record.lost
    assert not (tmp_path / "rec").exists()
    path = tmp_path / "rec" / "session-20261121T120000Z.mcap"
    assert record.start() == Answer(True, f"started {path}")
    assert (record.recording, record.note) == (path.name, "")
    for message in session(5):
        assert record.step(message)
    assert record.start() == Answer(False, f"already recording {path}")
    assert record.stop() == Answer(True, f"stopped {path}, 5 frames")
    assert record.stop() == Answer(False, "not recording")
    assert (record.recording, record.note) == ("", OFF)
    assert frames(path) == [0, 1, 2, 3, 4]


def test_from_a_file_it_always_begins(settings: Any, a_record: Any) -> None:
    assert a_record(settings(mode="file")).recording == "session.mcap"


def test_each_recording_is_one_of_its_own(settings: Any, a_record: Any, tmp_path: Path) -> None:
    """Also two within one second, and one beside parts that a crash has left."""
    record = a_record(settings(start=True))
    record.step(session(1)[0])
    record.stop()
    for _ in range(3):
        record.start()
        record.step(session(1)[0])
        record.stop()
    names = ["session.mcap", *(f"session-20261121T12000{n}Z.mcap" for n in range(3))]
    assert sorted(path.name for path in (tmp_path / "rec").iterdir()) == sorted(names)
    for name in names:
        assert parts(tmp_path / "rec" / name) == [tmp_path / "rec" / name]
        assert frames(tmp_path / "rec" / name) == [0]


@pytest.mark.parametrize("start", [True, False])
def test_one_that_was_killed_goes_on_as_it_was_told(settings: Any, a_record: Any, tmp_path: Path, start: bool) -> None:
    config = settings(start=start)
    record = a_record(config)
    record.stop()
    assert a_record(config).note == OFF, "it was off when it was killed"
    record.start()
    record.step(session(1)[0])
    back = a_record(config)
    assert back.recording == record.recording == "session-20261121T120000Z.mcap"
    back.step(session(1)[0])
    assert [path.name for path in parts(tmp_path / "rec" / back.recording)] == [back.recording, "session-20261121T120000Z.2.mcap"]
    assert back.stop().text.endswith(", 1 frames since the recorder came back")


def test_what_was_ordered_counts_no_longer_when_the_work_is_done_or_the_settings_change(settings: Any, a_record: Any) -> None:
    record = a_record(settings())
    record.start()
    assert a_record(settings(pictures="none")).note == OFF
    record.forget()
    assert a_record(settings()).note == OFF


def test_a_folder_that_cannot_be_is_said_at_the_start_and_in_the_answer(settings: Any, a_record: Any, tmp_path: Path) -> None:
    (tmp_path / "rec").write_text("a file")
    with pytest.raises(UserError, match="cannot record there"):
        a_record(settings(start=True))
    record = a_record(settings())
    answer = record.start()
    assert not answer.ok and "cannot record there" in answer.text and str(tmp_path / "rec") in answer.text
    assert (record.recording, record.note, record.lost) == ("", OFF, "")
    assert a_record(settings()).note == OFF
    (tmp_path / "rec").unlink()
    assert record.start().ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(settings: Any, a_record: Any, tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir(mode=0o500)
    answer = a_record(settings()).start()
    assert not answer.ok and "Permission denied" in answer.text


def test_too_little_space_is_the_answer(settings: Any, a_record: Any) -> None:
    record = a_record(settings(min_free_mb=10**9))
    answer = record.start()
    assert not answer.ok and "less than 1000000000 MB free" in answer.text
    assert (record.note, record.lost) == (OFF, "")


def test_a_disk_that_fills_ends_the_recording_until_the_next_order(
    settings: Any, a_record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_record(settings(start=True))
    monkeypatch.setattr(record._writer, "write", refusing(RecordingFull("the disk is full")))
    assert not record.step(a_pose2d(0))
    assert (record.recording, record.note, record.lost) == ("", "the disk is full", DISK_FULL)
    assert record.stop() == Answer(False, "not recording: the disk is full")
    assert (record.note, record.lost) == (OFF, "")
    assert record.start().ok and record.step(a_pose2d(0))


def test_an_order_that_fails_leaves_what_was(settings: Any, a_record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record = a_record(settings(start=True))
    monkeypatch.setattr(record._writer, "write", refusing(RecordingFull("the disk is full")))
    record.step(a_pose2d(0))
    monkeypatch.setattr("poselift.workers.record.RecordingWriter", refusing(OSError(5, "Input/output error", "/dev/x")))
    assert record.start() == Answer(False, "/dev/x: Input/output error")
    assert (record.note, record.lost) == ("the disk is full", DISK_FULL)


@pytest.mark.parametrize("gone", ["rec", "rec/session.mcap"])
def test_a_recording_that_goes_away_while_it_is_written_ends_and_says_so(settings: Any, a_record: Any, tmp_path: Path, gone: str) -> None:
    record = a_record(settings(start=True))
    assert record._writer is not None and record.step(a_pose2d(0))
    record._writer._flush_s = 0.0
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    assert not record.step(a_pose2d(1))
    assert record.note == f"{tmp_path / 'rec' / 'session.mcap'}: this recording was removed while it was written"
    assert (record.lost, record.recording) == (DISK_FAILED, "")
    assert record.start().ok


def test_a_file_that_was_removed_is_not_called_a_recording(settings: Any, a_record: Any, tmp_path: Path) -> None:
    record = a_record(settings(start=True))
    record.step(session(1)[0])
    (tmp_path / "rec" / "session.mcap").unlink()
    assert record.stop() == Answer(False, f"{tmp_path / 'rec' / 'session.mcap'}: this recording was removed while it was written")


def refusing(error: Exception) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def a_seen_pose(number: int) -> Pose2D:
    pose = a_pose2d(number)
    return Pose2D(
        number, pose.t_ns, 64, 48, pose.person, pose.keypoints, pose.depth_px, {}, 1, (Stamp("capture", 1, 2), Stamp("detect", 3, 4))
    )


class Driven(MemoryBus):
    """A bus on which things happen one after the other: each is done before the worker looks the next time."""

    def __init__(self, hub: MemoryHub, *happens: Any) -> None:
        super().__init__(hub, "record")
        self._happens = list(happens)

    def receive(self, timeout_s: float) -> list[Any]:
        if timeout_s >= 0.2 and self._happens:
            self._happens.pop(0)()
        return super().receive(timeout_s)


def test_the_worker_takes_only_while_recording_is_on_and_drops_nothing_while_it_is_off(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loop, "on_signals", lambda self: None)
    hub = MemoryHub(links("live", ("detect", "record")))
    detect = hub.bus("detect")

    def send(*numbers: int) -> None:
        for number in numbers:
            detect.send(a_seen_pose(number))

    def order(*commands: str) -> None:
        hub.controls["record"].extend(map(Control, commands))

    def send_and_order_stop() -> None:
        """All but the first are on their way when the order comes."""
        send(3, 4, 5)
        order(RECORD_STOP)

    bus = Driven(
        hub,
        *(lambda: send(0), lambda: order(RECORD_START), lambda: send(1), lambda: send(2), send_and_order_stop, lambda: send(6)),
        lambda: detect.send(End("detect", 7, "")),
    )
    run(settings(), bus)
    (path,) = (tmp_path / "rec").iterdir()
    assert [message.frame for message in read(path, [Pose2D]) if isinstance(message, Pose2D)] == [1, 2, 3, 4, 5]
    assert [answer.ok for answer in hub.answers] == [True, True]
    said = [health for health in hub.taken(WATCH, Health) if isinstance(health, Health)]
    assert [health.recording for health in said] == ["", path.name, "", ""]
    assert [bool(health.note) for health in said] == [True, False, True, True]
    assert said[-1].messages == 5 and said[-1].drops == {}
    assert not (tmp_path / "run" / "recording.yaml").exists()


def test_a_worker_from_a_file_takes_no_such_orders(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loop, "on_signals", lambda self: None)
    hub = MemoryHub(links("file", ("detect", "record")))
    hub.controls["record"] = hub.bus("record")._control
    hub.controls["record"].append(Control(RECORD_STOP))
    hub.bus("detect").send(End("detect", 0, ""))
    run(settings(mode="file"), hub.bus("record"))
    assert [answer.ok for answer in hub.answers] == [False] and "it knows: stop, status" in hub.answers[0].text
