"""Everybody who reads a recording leaves out the same of it, and says so: export, replay, viewer and programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.stream_reader import CRCValidationError
from test_recording import a_frame, a_pose2d, a_pose3d, record

import poselift
from poselift.app.config import CaptureConfig
from poselift.app.dataflow.messages import Frame, encode
from poselift.app.offline.export import export
from poselift.app.recording.pixels import with_pixels
from poselift.app.view.recorded_history import RecordedHistory
from poselift.app.view.sources import RecordingSource
from poselift.common.errors import UserError
from poselift.workers.sources import open_source

FRAMES, NO_POSE, NO_PICTURE = 8, 2, 5


def pictured(number: int) -> Frame:
    shade = np.full((48, 64, 3), 20 * number, np.uint8)
    return with_pixels(a_frame(number), shade, "png")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Every message in a piece of its own."""
    messages = [message for n in range(FRAMES) for message in (pictured(n), a_pose2d(n), a_pose3d(n))]
    return record(tmp_path / "session.mcap", messages, flush_s=0)


@pytest.fixture
def damaged(recording: Path) -> Path:
    """With one byte of a pose and one of a picture flipped."""
    data = bytearray(recording.read_bytes())
    for message in (a_pose3d(NO_POSE), pictured(NO_PICTURE)):
        data[data.index(encode(message)) + 200] ^= 0x10
    recording.write_bytes(data)
    return recording


def without(number: int) -> list[int]:
    return [n for n in range(FRAMES) if n != number]


def test_the_export(damaged: Path, tmp_path: Path) -> None:
    result = export(damaged, tmp_path / "out", render=True)
    with np.load(tmp_path / "out" / "poses.npz") as poses:
        assert poses["frame"].tolist() == without(NO_POSE)
    assert result.warnings[0].startswith(f"{damaged}: 2 damaged pieces, ")


def test_the_replay(damaged: Path) -> None:
    source = open_source(CaptureConfig(source=str(damaged)))
    shades = [int(picture.pixels[0, 0, 0]) // 20 for picture in source]
    assert shades == without(NO_PICTURE) and "2 damaged pieces" in source.note


def test_the_viewer(damaged: Path) -> None:
    recorded = RecordedHistory(damaged)
    shown = [recorded.at(1000 + number) for number in range(FRAMES)]
    assert [snapshot.pose.frame for snapshot in shown if snapshot.pose] == [1 if n == NO_POSE else n for n in range(FRAMES)]
    assert [snapshot.image.frame for snapshot in shown if snapshot.image] == [4 if n == NO_PICTURE else n for n in range(FRAMES)]
    assert "2 damaged pieces" in recorded.notes[0]
    source = RecordingSource(recorded, damaged.name)
    assert source.take_notice().startswith("session.mcap: 2 damaged pieces, ") and source.take_notice() == ""


def test_a_program(damaged: Path) -> None:
    with pytest.warns(UserWarning, match="2 damaged pieces"):
        assert [poses.frame for poses in poselift.open(damaged)] == without(NO_POSE)


def test_a_picture_that_was_damaged_before_it_was_recorded(tmp_path: Path) -> None:
    pictures = [pictured(0), replace(pictured(1), pixels=b"no picture"), pictured(2)]
    path = record(tmp_path / "session.mcap", [message for n in range(3) for message in (pictures[n], a_pose2d(n), a_pose3d(n))])
    assert [type(found).__name__ for found in open_source(CaptureConfig(source=str(path)))] == [
        "CapturedPicture",
        "Lost",
        "CapturedPicture",
    ]
    result = export(path, tmp_path / "out", render=True)
    assert result.warnings[0].startswith(f"{path}: frame 1: its png is damaged")
    with av.open(str(tmp_path / "out" / "poses.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 3


def test_a_reader_that_is_not_ours(recording: Path, damaged: Path) -> None:
    with damaged.open("rb") as file, pytest.raises(CRCValidationError):
        list(make_reader(file, validate_crcs=True).iter_messages())


def test_of_a_cut_one_the_export_tells(recording: Path, tmp_path: Path) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[: data.index(encode(a_pose3d(3))) + 10])
    assert export(recording, tmp_path / "out").warnings[0].startswith(f"{recording}: this recording was not closed")


@pytest.mark.parametrize("content", ["nothing", "its head", "2D alone"])
def test_where_there_is_nothing_to_export_or_lift_it_is_said(tmp_path: Path, content: str) -> None:
    path = record(tmp_path / "session.mcap", [a_pose2d(0)] if content == "2D alone" else [])
    if content == "its head":
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"session\.mcap: nothing to export: this recording holds no 3D pose") as error:
        export(path, tmp_path / "out")
    assert ("not closed" in str(error.value)) == (content == "its head") and not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"session\.mcap: this recording has no frames"):
        open_source(CaptureConfig(source=str(path)))
