"""A detect that was killed and comes back in the same session gives nobody the id of somebody before."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from demo_clip import FRAME_NS, pictures, pulled

from poselift.app.config import Config
from poselift.app.dataflow.frames import Position, RingWriter
from poselift.app.dataflow.memory_bus import MemoryHub
from poselift.app.dataflow.messages import End, Frame, Pose2D, Stamp
from poselift.app.dataflow.session import FILE
from poselift.app.dataflow.streams import links
from poselift.workers import detect

FRAMES = 3


def ids(config: Config) -> list[list[int]]:
    """Who is in each of the clip's pictures, by a detect that begins with them."""
    clip = list(islice(pictures(pulled("demo_clip")), 60, 60 + FRAMES))
    folder = config.runtime_path()
    ring = RingWriter(folder, 0, FRAMES + 1, clip[0].nbytes)
    hub = MemoryHub(links("file", ("capture", "detect", "lift")))
    capture = hub.bus("capture")
    height_px, width_px = clip[0].shape[:2]
    for number, picture in enumerate(clip):
        generation = ring.write(number, picture, Position())
        trace = (Stamp("capture", 1, 1),)
        frame = Frame(number, number * FRAME_NS, width_px, height_px, 30.0, 0, number, generation, "ring", b"", 1, trace)
        capture.send(frame)
    capture.send(End("capture", FRAMES, ""))
    detect.run(config, hub.bus("detect"))
    return [pose.person.tolist() for pose in hub.taken("lift", Pose2D) if isinstance(pose, Pose2D)]


def test_ids_are_counted_over_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poselift.workers.detect.Loop.on_signals", lambda loop: None)
    (tmp_path / "run").mkdir()
    config = Config(runtime_folder=str(tmp_path / "run"), mode="file").changed(detect={"people": 1})
    assert [ids(config) for _ in range(3)] == [[[1]] * FRAMES, [[2]] * FRAMES, [[3]] * FRAMES]
    (tmp_path / "run" / FILE).unlink()  # another session
    assert ids(config)[0] == [1]
