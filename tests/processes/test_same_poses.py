"""Live, from a file and in a replay, the same frames and times give the same poses, bit for bit."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pipeline_run import poselift

from poselift.app.config import Config
from poselift.app.dataflow.messages import Frame, Pose2D, Pose3D
from poselift.app.recording.reader import read
from poselift.workers.detect import detecting
from poselift.workers.lift import new_lift, open_lifter

NAMES = ("person", "keypoints", "joints_m", "sigma_m", "root_m", "confidence", "contact", "warming", "held")
TWO = np.array([1, 2]).tobytes()
HEIGHTS_M = {1: 1.83, 2: 1.55}


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
            picture = cv2.imread(str(files[round(t_ns * (config.capture.fps or 30) / 1e9)]))
            frame = Frame(number, t_ns, picture.shape[1], picture.shape[0], 30.0, 0, 0, 0, "ring", b"", 0, ())
            found.append(bits(lift.step(detect.step(frame, nullcontext(picture)))))
    return found


def test_live_file_and_replay_agree(configure, pictures_of_two: Path, tmp_path: Path) -> None:
    room = {
        "capture": {"ring_slots": 64, "fps": 15},
        "bus": {"queue": 100},
    }  # for all pictures: a busy machine's recorder must not miss any
    path, config = configure(detect={}, record={"pictures": "png", "min_free_mb": 0}, lift={"body_heights_m": HEIGHTS_M}, **room)
    live = poselift("up", pictures_of_two, "--record", tmp_path / "live", "--config", path)
    assert live.returncode == 0, live.stderr
    session = tmp_path / "live" / "session.mcap"
    processed = [pose.t_ns for pose in read(session, [Pose2D])]
    assert len(processed) > 10
    expected = by_hand(config, pictures_of_two, processed)
    assert sum(pose[1] == TWO for pose in expected) > 5, "else the comparison would mean little"
    assert poses(session) == expected

    replay = poselift("lift", session, "-o", tmp_path / "replay", "--no-render", "--config", path)
    assert replay.returncode == 0, replay.stderr
    assert poses(tmp_path / "replay" / "poses.mcap") == expected

    exported = poselift("export", session, "-o", tmp_path / "export", "--no-render")
    assert exported.returncode == 0, exported.stderr
    for name, dtype in (("person", np.int64), ("joints_m", np.float32)):
        rows = [np.load(tmp_path / folder / "poses.npz")[name] for folder in ("export", "replay")]
        of_all = np.frombuffer(b"".join(pose[1 + NAMES.index(name)] for pose in expected), dtype)
        assert all(found.tobytes() == of_all.tobytes() for found in rows), name
    for folder in ("export", "replay"):
        found = np.load(tmp_path / folder / "poses.npz")
        assert found["person_height_m"].tolist() == [HEIGHTS_M[person] for person in found["person"].tolist()]


def test_from_a_file_every_frame_is_processed(configure, clip_pictures: Path, tmp_path: Path) -> None:
    path, config = configure(detect={})
    done = poselift("lift", clip_pictures, "-o", tmp_path / "file", "--no-render", "--config", path)
    assert done.returncode == 0, done.stderr
    times_ns = [frame.t_ns for frame in read(tmp_path / "file" / "poses.mcap", [Frame])]
    assert len(times_ns) == 45
    assert poses(tmp_path / "file" / "poses.mcap") == by_hand(config, clip_pictures, times_ns)
