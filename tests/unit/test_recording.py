"""The recording: what is written is read, whatever happens to the writer, the file or the disk."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from poselift.app.dataflow.messages import SCHEMA, End, Frame, Health, Message, MessageError, Pose2D, Pose3D, encode
from poselift.app.dataflow.session import Session
from poselift.app.recording import writer as recording_writer
from poselift.app.recording.parts import free_bytes, parts, prepare
from poselift.app.recording.pixels import picture, with_pixels
from poselift.app.recording.reader import Recording, read
from poselift.app.recording.writer import RecordingFull, RecordingWriter
from poselift.common.errors import UserError


def a_frame(number: int, width_px: int = 64, height_px: int = 48) -> Frame:
    return Frame(number, 1000 + number, width_px, height_px, 30.0, 0, 3, 7, "ring", b"", 11, ())


def a_pose2d(number: int, people: int = 1) -> Pose2D:
    keypoints = np.full((people, 21, 3), number, np.float32)
    return Pose2D(number, 1000 + number, 64, 48, np.arange(people), keypoints, None, {"late": number})


def a_pose3d(number: int, people: int = 1) -> Pose3D:
    joints = np.full((people, 21, 3), number, np.float32)
    root, confidence = np.full((people, 3), np.nan, np.float32), np.ones((people, 21), np.float32)
    flags = np.zeros(people, bool)
    return Pose3D(
        number,
        1000 + number,
        64,
        48,
        np.arange(people),
        joints,
        joints,
        joints * np.nan,
        root,
        confidence,
        np.zeros((people, 4), bool),
        flags,
        flags,
    )


def session(frames: int) -> list[Message]:
    """What a recorder gets for so many frames, pictures included."""
    shades = np.zeros((48, 64, 3), np.uint8)
    return [message for n in range(frames) for message in (with_pixels(a_frame(n), shades + n), a_pose2d(n), a_pose3d(n, n % 3))]


def record(path: Path, messages: list[Message], **options: float) -> Path:
    with RecordingWriter(path, {"config": "mode: live"}, **options) as writer:  # type: ignore[arg-type]
        for message in messages:
            writer.write(message)
    return path


def as_bytes(messages: object) -> list[bytes]:
    return [encode(message) for message in messages]  # type: ignore[attr-defined]


def test_every_type_is_read_back_as_written_in_order(tmp_path: Path) -> None:
    health = Health("lift", 1, 2, 3, "running", "", 4, 29.9, 1.0, float("nan"), {"late": 1}, 5)
    written = [*session(20), health, End("capture", 20, "truncated")]
    path = record(tmp_path / "session.mcap", written)
    notes: list[str] = []
    assert as_bytes(read(path, note=notes.append)) == as_bytes(written)
    assert not notes


def test_only_some_types_are_read(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(20))
    assert as_bytes(read(path, [Pose3D, End])) == as_bytes(a_pose3d(n, n % 3) for n in range(20))


def test_times_and_topics_in_the_log(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", [a_pose2d(5), End("lift", 1, "")])
    with path.open("rb") as file:
        (_, of_pose, pose), (_, of_end, end) = make_reader(file, validate_crcs=True).iter_messages()
    assert (of_pose.topic, pose.publish_time) == ("Pose2D", 1005)
    assert (of_end.topic, end.publish_time) == ("End", end.log_time)
    assert end.log_time >= pose.log_time > 1_600_000_000 * 10**9


def test_other_mcap_readers_find_everything(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(20), flush_s=0)
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        messages = list(reader.iter_messages(topics=["Pose3D"]))
        metadata = next(iter(reader.iter_metadata())).metadata
    assert [message.data for _, _, message in messages] == as_bytes(a_pose3d(n, n % 3) for n in range(20))
    schema, channel, message = messages[3]
    assert (channel.message_encoding, channel.topic, message.publish_time) == ("msgpack", "Pose3D", 1003)
    assert schema is not None
    described = {item["name"]: item for item in json.loads(schema.data)["fields"]}
    assert described["joints_m"] == {"name": "joints_m", "type": "array", "dtype": "<f4", "shape": [None, 21, 3]}
    assert described["t_ns"] == {"name": "t_ns", "type": "int"}
    assert metadata == Recording(path).info
    assert metadata["config"] == "mode: live"
    assert metadata["schema"] == str(SCHEMA)
    assert json.loads(metadata["joint_names"])[0] == "hip"


def test_cut_anywhere_it_reads_a_beginning(tmp_path: Path) -> None:
    written = as_bytes(session(2))
    whole = record(tmp_path / "whole.mcap", session(2), flush_s=0).read_bytes()
    lengths = []
    for size in range(0, len(whole), 11):
        path = tmp_path / "cut.mcap"
        path.write_bytes(whole[:size])
        notes: list[str] = []
        found = as_bytes(read(path, note=notes.append))
        assert found == written[: len(found)]
        assert notes or len(found) == len(written)
        lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert set(lengths) == set(range(len(written) + 1))


def test_a_cut_inside_a_chunk_keeps_its_whole_messages(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(6), flush_s=1000)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(encode(a_pose3d(4, 1))) + 10])
    assert as_bytes(read(path)) == as_bytes(session(6))[:14]


def test_a_damaged_piece_is_left_out_and_said(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(6), flush_s=0)
    data = bytearray(path.read_bytes())
    data[data.index(encode(a_pose2d(0))) + 20] ^= 1
    path.write_bytes(data)
    notes: list[str] = []
    found = as_bytes(read(path, note=notes.append))
    written = as_bytes(session(6))
    assert found == written[:1] + written[2:]
    assert ["1 damaged" in note for note in notes] == [True]


def test_whatever_byte_is_flipped_what_is_read_was_written_and_what_is_not_is_said(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", [a_pose2d(number, people=0) for number in range(5)], flush_s=0)
    whole = path.read_bytes()
    written, last = as_bytes(read(path)), whole.rindex(b"Pose2D")
    lost = 0
    for at in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        notes: list[str] = []
        try:
            found = as_bytes(read(path, note=notes.append))
        except UserError as error:
            assert at < 100 and "not a recording" in str(error), "the file does not begin as a recording does"
            continue
        assert len(found) >= len(written) - 1, f"byte {at}: more than the piece with this byte is gone"
        assert [message for message in written if message in found] == found
        assert found == written or "1 damaged piece, " in notes[0]
        lost += found != written
    assert lost > last / 5 / 3


def test_a_compressed_recording_is_read_as_it_was(tmp_path: Path) -> None:
    """As other tools make of ours."""
    path = record(tmp_path / "session.mcap", session(6), flush_s=0)
    for compression in (CompressionType.ZSTD, CompressionType.LZ4):
        small = tmp_path / f"{compression.name}.mcap"
        with path.open("rb") as file, small.open("wb") as out:
            reader, writer = make_reader(file), Writer(out, compression=compression, chunk_size=2000)
            writer.start(profile="poselift")
            channels: dict[int, int] = {}
            for _, channel, message in reader.iter_messages():
                if channel.id not in channels:
                    channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding, 0)
                writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
            writer.finish()
        assert as_bytes(read(small)) == as_bytes(session(6))
        data = bytearray(small.read_bytes())
        data[data.index(b"lz4" if compression is CompressionType.LZ4 else b"zstd") + 100] ^= 1
        small.write_bytes(data)
        notes: list[str] = []
        assert 0 < len(as_bytes(read(small, note=notes.append))) < 18 and "1 damaged piece" in notes[0]


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    with RecordingWriter(path, {}) as writer:
        writer.write(a_pose2d(0))
        writer.write_bytes(Pose2D, b"\x80", 1)
        writer.write(a_pose2d(2))
    notes: list[str] = []
    assert numbers(path, notes) == [0, 2]
    assert notes == [f"{path}: 1 of its messages left out: not a message: it has no schema version"]


def test_names_of_channels_in_a_damaged_piece_are_not_missed(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(6), flush_s=0)
    data = bytearray(path.read_bytes())
    data[data.index(b"joints_m")] ^= 1
    path.write_bytes(data)
    assert as_bytes(read(path, [Pose3D])) == as_bytes(a_pose3d(n, n % 3) for n in range(6))


def test_zeros_at_the_end_are_no_messages(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(3), flush_s=0)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(encode(a_pose3d(2, 2)))] + bytes(5000))
    notes: list[str] = []
    assert as_bytes(read(path, note=notes.append)) == as_bytes(session(3))[:8]
    assert notes


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from poselift.app.recording.writer import RecordingWriter
    from tests.unit.test_recording import a_pose2d
    writer = RecordingWriter(Path(sys.argv[1]), {}, flush_s=float(sys.argv[2]))
    for n in range(40):
        writer.write(a_pose2d(n))
        if n == 29:
            writer.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path, flush_s: float) -> list[int]:
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path), str(flush_s)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.returncode == -signal.SIGKILL
    return [message.frame for message in read(path)]  # type: ignore[union-attr]


def test_a_killed_recorder_loses_only_its_open_chunk(tmp_path: Path) -> None:
    assert killed(tmp_path / "session.mcap", 1000.0) == list(range(30))


def test_chunks_end_by_time(tmp_path: Path) -> None:
    assert killed(tmp_path / "session.mcap", 0.0) == list(range(40))


def test_a_recorder_that_comes_back_writes_on_beside(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    for n in range(12):
        record(path, [a_pose2d(n)])
    (tmp_path / "session.notes.mcap").write_text("not ours")
    assert [part.name for part in parts(path)] == ["session.mcap", *(f"session.{n}.mcap" for n in range(2, 13))]
    assert [message.frame for message in read(path)] == list(range(12))  # type: ignore[union-attr]
    assert [message.frame for message in read(tmp_path / "session.3.mcap")] == [2]  # type: ignore[union-attr]


def test_a_long_recording_goes_on_in_the_next_part(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(10), flush_s=0, max_chunks=7)
    assert len(parts(path)) == 5
    notes: list[str] = []
    assert as_bytes(read(path, note=notes.append)) == as_bytes(session(10))
    assert not notes


def test_way_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "session.mcap"
    prepare(path)
    record(path, session(1))
    record(path, session(2))
    assert len(as_bytes(read(path))) == 9
    prepare(path)
    assert not list(path.parent.iterdir())


MONDAY, TUESDAY = Session(1_000, "first boot", "atlas"), Session(1_000, "second boot", "atlas")
"""The clock was not set yet at either of them."""


def record_in(of: Optional[Session], path: Path, frames: range) -> Path:
    with RecordingWriter(path, of.facts() if of else {}) as writer:
        for number in frames:
            writer.write(a_pose2d(number))
    return writer.base


def numbers_of(path: Path) -> list[int]:
    with path.open("rb") as file:
        return [message.publish_time for _, _, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False)]


def numbers(path: Path, notes: Optional[list[str]] = None) -> list[int]:
    return [message.frame for message in read(path, [Pose2D], (notes if notes is not None else []).append)]  # type: ignore[union-attr]


@pytest.mark.parametrize(("before", "now"), [(MONDAY, TUESDAY), (None, MONDAY), (MONDAY, None)])
def test_another_session_takes_a_name_of_its_own(tmp_path: Path, before: Optional[Session], now: Optional[Session]) -> None:
    path = tmp_path / "session.mcap"
    assert record_in(before, path, range(3)) == record_in(before, path, range(3, 5)) == path
    content = {part: part.read_bytes() for part in parts(path)}
    second = record_in(now, path, range(9))
    assert re.fullmatch(r"session-\d{8}T\d{6}Z\.mcap", second.name)
    third = record_in(now, path, range(2))
    assert third not in (path, second)
    assert {part: part.read_bytes() for part in parts(path)} == content and parts(second) == [second]
    notes: list[str] = []
    assert [numbers(place, notes) for place in (path, second, third)] == [[0, 1, 2, 3, 4], list(range(9)), [0, 1]]
    assert notes == [] and Recording(second).info.get("session_boot_id") == (now.boot_id if now else None)


def test_a_recorder_that_comes_back_in_its_session_goes_on_there(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    assert record_in(MONDAY, path, range(3)) == record_in(MONDAY, path, range(3, 6)) == path
    assert numbers(path) == list(range(6))


@pytest.mark.parametrize("intruder", ["another session", "nonsense", "folder", "link to nothing", "empty"])
def test_a_later_part_that_is_not_of_this_session_is_left_out_and_said(tmp_path: Path, intruder: str) -> None:
    path = record_in(MONDAY, tmp_path / "session.mcap", range(3))
    second = tmp_path / "session.2.mcap"
    if intruder == "another session":
        record_in(TUESDAY, tmp_path / "other.mcap", range(7)).rename(second)
    elif intruder == "folder":
        second.mkdir()
    elif intruder == "link to nothing":
        second.symlink_to("nowhere")
    else:
        second.write_text("some notes" if intruder == "nonsense" else "")
    notes: list[str] = []
    assert numbers(path, notes) == [0, 1, 2]
    assert len(notes) == 1 and str(second) in notes[0] and "left out" in notes[0]
    if intruder == "another session":
        assert numbers(second) == list(range(7)), "by its own name it is whole"
    assert record_in(MONDAY, path, range(3, 6)) != path, "nothing goes on behind what is not ours"


def test_one_that_grows_long_in_an_intruders_company_ends_nowhere(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "session.mcap", MONDAY.facts(), max_chunks=2, flush_s=0.0) as writer:
        writer.write(a_pose2d(0))
        record_in(TUESDAY, tmp_path / "other.mcap", range(5)).rename(tmp_path / "session.2.mcap")
        for number in range(1, 6):
            writer.write(a_pose2d(number))
    assert numbers(tmp_path / "session.mcap") + numbers(writer.base) == list(range(6))


def test_a_part_that_was_cut_in_its_index_and_the_next_are_read_as_one(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", session(4), flush_s=0)
    path.write_bytes(path.read_bytes()[:-700])
    record(path, session(3))
    assert as_bytes(read(path)) == [*as_bytes(session(4)), *as_bytes(session(3))]


@pytest.mark.parametrize("content", [b"not a recording", b"\x89MCAP0\r\n" + bytes.fromhex("01 0800000000000000 0000000000000000")])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.mcap"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"other\.mcap: .*not a recording"):
        Recording(path)


def test_no_recording_and_a_newer_one_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such recording"):
        read(tmp_path / "session.mcap")
    monkeypatch.setattr("poselift.app.dataflow.messages.SCHEMA", SCHEMA + 1)
    path = record(tmp_path / "session.mcap", session(1))
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"session\.mcap: .*update"):
        list(read(path))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (prepare, lambda path: RecordingWriter(path, {})):
        with pytest.raises(UserError, match=r"session\.mcap: cannot record there"):
            attempt(tmp_path / "file" / "session.mcap")


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RecordingFull, match="less than 1000000000 MB free"):
        RecordingWriter(tmp_path / "session.mcap", {}, min_free_mb=10**9)
    assert not list(tmp_path.iterdir())


def test_space_that_runs_low_closes_the_recording_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RecordingWriter(tmp_path / "session.mcap", {}, min_free_mb=1, flush_s=1000)
    for message in session(2):
        writer.write(message)
    monkeypatch.setattr(recording_writer, "free_bytes", lambda folder: 999_999)
    with pytest.raises(RecordingFull, match="with 6 messages"):
        writer.flush()
    with pytest.raises(RecordingFull):
        writer.write(a_pose2d(2))
    writer.close()
    notes: list[str] = []
    assert as_bytes(read(writer.path, note=notes.append)) == as_bytes(session(2))
    assert not notes


@pytest.mark.parametrize("size_bytes", [2_000, 700_000])
def test_what_the_disk_shall_keep_it_keeps_however_fast_it_fills(full_disk: Path, size_bytes: int) -> None:
    """Faster than pieces end by time, and with pieces that are larger than the disk."""
    noise = np.random.default_rng(0).bytes(size_bytes)
    written = 0
    with (
        pytest.raises(RecordingFull, match="less than 1 MB free") as full,
        RecordingWriter(full_disk / "session.mcap", {}, min_free_mb=1, flush_s=1000) as writer,
    ):
        while written < 10_000:
            writer.write(Frame(written, written, 640, 480, 30.0, 0, 0, 0, "png", noise, 1, ()))
            written += 1
    assert free_bytes(full_disk) >= 1_000_000
    assert free_bytes(full_disk) < 1_300_000 + size_bytes, "it ended too early"
    assert numbers_of(full_disk / "session.mcap") == list(range(written)) and f"with {written} messages" in str(full.value)


@pytest.mark.parametrize("limit", range(6000, 9000, 97))
def test_a_full_disk_leaves_a_recording_that_can_be_read(tmp_path: Path, limit: int) -> None:
    """The kernel's own limit on a file's size stands for the full disk: the write that crosses it is done in part, as on a disk."""
    messages = session(50)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = RecordingWriter(tmp_path / "session.mcap", {}, flush_s=0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(RecordingFull) as full:
            for message in messages:
                writer.write(message)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.close()
    notes: list[str] = []
    found = as_bytes(read(writer.path, note=notes.append))
    assert 0 < len(found) < len(messages)
    assert found == as_bytes(messages[: len(found)])
    assert f"with {len(found)} messages" in str(full.value)
    assert writer.messages == len(found)
    assert writer.path.read_bytes().endswith(b"MCAP0\r\n") or notes


def test_a_disk_full_from_the_start_is_said(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(RecordingFull, match="with 0 messages"):
            RecordingWriter(tmp_path / "session.mcap", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(read(tmp_path / "session.mcap"))


def test_pictures_survive(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)[..., None] * np.array([1, 1, 2], np.uint8)
    path = record(tmp_path / "session.mcap", [with_pixels(a_frame(0), ramp, encoding, 95) for encoding in ("jpeg", "png", "none")])
    jpeg, png, none = (picture(frame) for frame in read(path, [Frame]))  # type: ignore[arg-type]
    assert jpeg is not None
    assert np.abs(jpeg.astype(int) - ramp).mean() < 3
    np.testing.assert_array_equal(png, ramp)
    assert none is None


def test_a_frame_without_its_picture_is_no_surprise() -> None:
    assert with_pixels(a_frame(0), None, "jpeg").encoding == "none"


@pytest.mark.parametrize(
    "frame",
    [
        a_frame(0),
        with_pixels(a_frame(0), np.zeros((47, 64, 3), np.uint8)),
        Frame(0, 0, 64, 48, 30.0, 0, 0, 0, "jpeg", b"no jpeg", 0, ()),
        Frame(0, 0, 64, 48, 30.0, 0, 0, 0, "jpeg", b"", 0, ()),
    ],
)
def test_a_damaged_or_absent_picture_is_an_error(frame: Frame) -> None:
    with pytest.raises(MessageError, match="frame 0"):
        picture(frame)
