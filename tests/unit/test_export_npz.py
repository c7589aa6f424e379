"""poses.npz holds exactly what its readers were promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from poselift.app.dataflow.messages import SCHEMA, Pose3D
from poselift.app.export.npz import write_poses
from poselift.common.skeleton import JOINTS, KEYPOINTS

PROMISED = {
    "frame": (np.int64, ()),
    "t_s": (np.float64, ()),
    "delay_s": (np.float64, ()),
    "person": (np.int64, ()),
    "keypoints": (np.float32, (21, 3)),
    "joints_m": (np.float32, (21, 3)),
    "sigma_m": (np.float32, (21, 3)),
    "root_m": (np.float32, (3,)),
    "confidence": (np.float32, (21,)),
    "warming": (np.bool_, ()),
    "held": (np.bool_, ()),
    "contact": (np.bool_, (4,)),
    "person_height_m": (np.float64, ()),
    "size_px": (np.int64, (2,)),
}


def pose(frame: int, people: int) -> Pose3D:
    random = np.random.default_rng(frame)
    some = lambda *shape: random.normal(size=(people, *shape)).astype(np.float32)  # noqa: E731
    flag = random.random(people) < 0.5
    return Pose3D(
        frame=frame, t_ns=40_000_000 * frame, width_px=640, height_px=480, person=np.arange(people) + 10 * frame,
        keypoints=some(21, 3), joints_m=some(21, 3), sigma_m=some(21, 3) * np.nan, root_m=some(3), confidence=some(21),
        warming=flag, held=~flag, contact=random.random((people, 4)) < 0.5, delay_ns=10_000_000 * frame,
    )  # fmt: skip


def test_one_row_per_frame_and_person(tmp_path: Path) -> None:
    poses = [pose(0, 1), pose(1, 0), pose(3, 3), pose(4, 1)]
    assert write_poses(tmp_path / "out" / "poses.npz", iter(poses), fps=25.0, body_height_m=1.8, source="/a.mp4") == 5
    found = np.load(tmp_path / "out" / "poses.npz")
    assert set(found.files) == {*PROMISED, "joint_names", "keypoint_names", "fps", "width", "height", "body_height_m", "schema", "source"}
    for name, (dtype, shape) in PROMISED.items():
        assert (found[name].dtype, found[name].shape) == (dtype, (5, *shape)), name
    assert found["frame"].tolist() == [0, 3, 3, 3, 4]
    np.testing.assert_allclose(found["t_s"], [0, 0.12, 0.12, 0.12, 0.16], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["delay_s"], [0, 0.03, 0.03, 0.03, 0.04], rtol=0, atol=1e-12)
    for name in ("person", "keypoints", "joints_m", "sigma_m", "root_m", "confidence", "warming", "held", "contact"):
        np.testing.assert_array_equal(found[name], np.concatenate([getattr(one, name) for one in poses]))
    assert tuple(found["joint_names"]) == JOINTS
    assert tuple(found["keypoint_names"]) == KEYPOINTS
    assert (found["fps"], found["width"], found["height"], found["body_height_m"], found["schema"]) == (25, 640, 480, 1.8, SCHEMA)
    assert found["source"] == "/a.mp4"


def test_every_row_tells_the_height_of_its_person(tmp_path: Path) -> None:
    write_poses(tmp_path / "poses.npz", [pose(0, 3), pose(1, 1)], fps=25, body_height_m=1.7, body_heights_m={1: 1.83, 7: 1.2})
    found = np.load(tmp_path / "poses.npz")
    assert (found["person"].tolist(), found["person_height_m"].tolist()) == ([0, 1, 2, 10], [1.7, 1.83, 1.7, 1.7])
    assert found["body_height_m"] == 1.7


def test_every_row_tells_the_size_of_its_picture(tmp_path: Path) -> None:
    poses = [pose(0, 0), replace(pose(1, 2), width_px=1280, height_px=720), pose(2, 1)]
    write_poses(tmp_path / "poses.npz", poses, fps=25, body_height_m=1.7)
    found = np.load(tmp_path / "poses.npz")
    assert found["size_px"].tolist() == [[1280, 720], [1280, 720], [640, 480]]
    assert (found["width"], found["height"]) == (640, 480)


@pytest.mark.parametrize("poses", [[], [pose(0, 0), pose(1, 0)]])
def test_nobody_there_keeps_the_shapes(tmp_path: Path, poses: list[Pose3D]) -> None:
    assert write_poses(tmp_path / "poses.npz", poses, fps=0, body_height_m=1.7) == 0
    found = np.load(tmp_path / "poses.npz")
    for name, (dtype, shape) in PROMISED.items():
        assert (found[name].dtype, found[name].shape) == (dtype, (0, *shape)), name
    assert found["width"] == (640 if poses else 0)


def test_a_stream_that_breaks_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "poses.npz"
    write_poses(path, [pose(0, 1)], fps=25, body_height_m=1.7)

    def breaking() -> Iterator[Pose3D]:
        yield pose(0, 1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_poses(path, breaking(), fps=25, body_height_m=1.7)
    assert len(np.load(path)["frame"]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["poses.npz"]


def test_a_disk_that_fills_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "poses.npz"
    write_poses(path, [pose(0, 1)], fps=25, body_height_m=1.7)

    def full(file: object, **arrays: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        write_poses(path, [pose(0, 1), pose(1, 1)], fps=25, body_height_m=1.7)
    assert len(np.load(path)["frame"]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["poses.npz"]
