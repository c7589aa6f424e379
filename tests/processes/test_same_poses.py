"""Live, from a file and in a replay, the same frames and times give the same poses, bit for bit."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import cv2
from pipeline_run import poselift

from poselift.app.config import Config
from poselift.app.dataflow.messages import Frame, Pose2D, Pose3D
from poselift.app.recording.reader import read
from poselift.workers.detect import detecting
from poselift.workers.lift import new_lift, open_lifter

NAMES = ("person", "keypoints", "joints_m", "confidence", "warming", "held")


def poses(recording: Path) -> list[tuple[Any, ...]]:
    """The times and bytes of a recording's poses."""
    return [bits(pose) for pose in read(recording, [Pose3D])]


def bits(pose: Any) -> tuple[Any, ...]:
    return (pose.t_ns, *(getattr(pose, name).tobytes() for name in NAMES))


def by_hand(config: Config, pictures: Path, times_ns: list[int]) -> list[tuple[Any, ...]]:
    """What the workers' classes give, called one after the other: no process, no bus."""
    files, found = sorted(pictures.iterdir()), []
    with detecting(config) as detect, closing(open_lifter(config)) as network, closing(new_lift(network, config)) as lift:
        for number, t_ns in enumerate(times_ns):
            picture = cv2.imread(str(files[round(t_ns * 30 / 1e9)]))
            frame = Frame(number, t_ns, picture.shape[1], picture.shape[0], 30.0, 0, 0, 0, "ring", b"", 0, ())
            found.append(bits(lift.step(detect.step(frame, nullcontext(picture)))))
    return found


def test_live_file_and_replay_agree(configure, clip_pictures: Path, tmp_path: Path) -> None:
    room = {"capture": {"ring_slots": 64}, "bus": {"queue": 100}}  # for all pictures: a busy machine's recorder must not miss any
    path, config = configure(record={"pictures": "png", "min_free_mb": 0}, **room)
    live = poselift("up", clip_pictures, "--record", tmp_path / "live", "--config", path)
    assert live.returncode == 0, live.stderr
    session = tmp_path / "live" / "session.mcap"
    processed = [pose.t_ns for pose in read(session, [Pose2D])]
    assert len(processed) > 10
    expected = by_hand(config, clip_pictures, processed)
    assert sum(len(pose[1]) > 0 for pose in expected) > 5, "nobody in the pictures: the comparison would mean nothing"
    assert poses(session) == expected

    replay = poselift("lift", session, "-o", tmp_path / "replay", "--no-render", "--config", path)
    assert replay.returncode == 0, replay.stderr
    assert poses(tmp_path / "replay" / "poses.mcap") == expected


def test_from_a_file_every_frame_is_processed(configure, clip_pictures: Path, tmp_path: Path) -> None:
    path, config = configure()
    done = poselift("lift", clip_pictures, "-o", tmp_path / "file", "--no-render", "--config", path)
    assert done.returncode == 0, done.stderr
    times_ns = [frame.t_ns for frame in read(tmp_path / "file" / "poses.mcap", [Frame])]
    assert len(times_ns) == 45
    assert poses(tmp_path / "file" / "poses.mcap") == by_hand(config, clip_pictures, times_ns)
