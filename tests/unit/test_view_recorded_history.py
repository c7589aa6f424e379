"""The viewer finds in a recording what the reader reads, wherever it jumps to, also in one that was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.people import HEIGHT_PX, WIDTH_PX, health_of, jpeg_of, pose_at
from poselift.app.dataflow.messages import Frame, Pose2D, Pose3D
from poselift.app.recording.reader import read
from poselift.app.recording.writer import RecordingWriter
from poselift.app.view.recorded_history import RecordedHistory
from poselift.common.errors import UserError

FRAMES = 40
JPEG = jpeg_of(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))


def record(path: Path, frames: int = FRAMES, pictures: bool = True, poses: bool = True) -> Path:
    with RecordingWriter(path, {"config": "lift: {focal_px: 900}"}, max_chunks=8, flush_s=0.0) as writer:
        for number in range(frames):
            pose = pose_at(number, 2)
            encoding, pixels = ("jpeg", JPEG) if pictures else ("none", b"")
            writer.write(Frame(number, pose.t_ns, WIDTH_PX, HEIGHT_PX, 30.0, 0, 0, 0, encoding, pixels, 1, ()))
            writer.write(Pose2D(number, pose.t_ns, WIDTH_PX, HEIGHT_PX, pose.person, pose.keypoints))
            if poses:
                writer.write(pose)
            writer.write(health_of("lift", number))
    return path


def test_every_pose_is_found_at_its_time_in_any_order_over_all_parts(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap")
    assert len(list(tmp_path.glob("*.mcap"))) > 1, "this is to go over several parts"
    expected = [message for message in read(path, [Pose3D]) if isinstance(message, Pose3D)]
    recorded = RecordedHistory(path)
    for number in np.random.default_rng(0).permutation(FRAMES):
        snapshot = recorded.at(expected[number].t_ns + 1)
        assert snapshot.pose and snapshot.image and snapshot.overlay
        assert snapshot.pose.frame == snapshot.image.frame == snapshot.overlay.frame == number
        np.testing.assert_array_equal(snapshot.pose.joints_m, expected[number].joints_m)
        assert snapshot.image.data == JPEG and isinstance(snapshot.overlay, Pose3D)
    assert recorded.span_ns == (0, expected[-1].t_ns) and recorded.focal_px == 900
    assert [pose.frame for pose in recorded.poses(expected[3].t_ns, expected[6].t_ns)] == [3, 4, 5, 6]
    assert recorded.neighbour(expected[3].t_ns, 2) == expected[5].t_ns
    assert recorded.neighbour(expected[3].t_ns, -9) == 0


def test_the_same_message_is_the_same_object_so_that_nothing_is_drawn_twice(tmp_path: Path) -> None:
    recorded = RecordedHistory(record(tmp_path / "session.mcap"))
    assert recorded.at(10**9).pose is recorded.at(10**9).pose


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_recording_that_was_cut_can_be_looked_at(tmp_path: Path, share: float) -> None:
    path = record(tmp_path / "session.mcap", frames=6)
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    readable = list(read(path, [Pose3D, Pose2D, Frame]))
    recorded = RecordedHistory(path)
    found = sum(len(row.times_ns) for row in recorded._rows.values())
    assert found == len(readable) > 0
    assert len(recorded.notes) == (share < 0.9), "what was cut at the end of its index alone is whole"


def test_without_pictures_or_without_poses_the_rest_is_shown(tmp_path: Path) -> None:
    plain = RecordedHistory(record(tmp_path / "plain.mcap", pictures=False)).at(10**9)
    assert plain.image is None and plain.pose is not None
    flat = RecordedHistory(record(tmp_path / "flat.mcap", poses=False)).at(10**9)
    assert flat.pose is None and isinstance(flat.overlay, Pose2D) and flat.image is not None


def test_a_flipped_byte_leaves_out_its_piece_and_says_so(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap")
    expected = [message for message in read(path, [Pose3D]) if isinstance(message, Pose3D)]
    data = bytearray(path.read_bytes())
    data[data.index(expected[1].joints_m.tobytes()) + 3] ^= 0x40
    path.write_bytes(data)
    recorded = RecordedHistory(path)
    assert ["1 damaged piece" in note for note in recorded.notes] == [True]
    assert recorded.neighbour(expected[0].t_ns, 1) == expected[2].t_ns
    shown = recorded.at(expected[1].t_ns).pose
    assert shown is not None and shown.frame == 0 and np.array_equal(shown.joints_m, expected[0].joints_m)


def test_settings_that_are_damaged_are_not_known(tmp_path: Path) -> None:
    path = record(tmp_path / "session.mcap", frames=1)
    path.write_bytes(path.read_bytes().replace(b"lift: {focal_px: 900}", b"lift: {focal_px} 900:"))
    assert RecordedHistory(path).focal_px is None


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such recording"), (b"hello, this is no log", "no MCAP file"), (b"", "nothing to look at")]
)
def test_what_is_no_recording_is_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "session.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        RecordedHistory(path)
