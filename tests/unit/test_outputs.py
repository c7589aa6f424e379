"""What a command may write: never over what it reads, and over others' files only when it is asked to."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

import numpy as np
import onnx
import pytest
from torch_files import checkpoint, random_model, write

from poselift.app.config import Config, redacted
from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.npz import write_poses
from poselift.app.export.video import render
from poselift.app.keypoints.files import Clip, write_keypoints
from poselift.app.offline.outputs import claim, set_aside, source_of
from poselift.app.recording.writer import RecordingWriter
from poselift.common.errors import UserError
from poselift.models.convert.videopose3d import convert

SOURCE = "/data/12:30 me@home/a b=c; 视频.mp4"


def picture(path: Path, source: str) -> None:
    render([(np.zeros((48, 64, 3), np.uint8), None, 0)], path, 30, source=source)


def recording(path: Path, source: str) -> None:
    with RecordingWriter(path, {"config": redacted(Config().changed(capture={"source": source}))}):
        pass


def poses(path: Path, source: str) -> None:
    write_poses(path, list[Pose3D](), fps=30, body_height_m=1.7, source=source)


def keypoints(path: Path, source: str) -> None:
    write_keypoints(path, [Clip("a", np.ones((3, 17, 3), np.float32), 640, 480)], source)


RESULTS: dict[str, Callable[[Path, str], Any]] = {
    "poses.npz": poses,
    "POSES.NPZ": poses,
    "keypoints.npz": keypoints,
    "poses.mp4": picture,
    "poses.mcap": recording,
    "figures.json": lambda path, source: path.write_text(json.dumps({"source": source})),
}
OTHERS: dict[str, Callable[[Path], Any]] = {
    "poses.npz": lambda path: np.savez(path, a=np.zeros(3)),
    "keypoints.npz": lambda path: np.savez(path, source=np.array({"a": 1}, object)),
    "poses.mp4": lambda path: picture(path, ""),
    "poses.mcap": lambda path: path.write_bytes(b"no recording"),
    "figures.json": lambda path: path.write_text("[]"),
    "lifter.onnx": lambda path: path.write_bytes(b"no network"),
    "notes": lambda path: path.write_text("mine"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_replaced_by_its_own_source_and_kept_from_another(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    RESULTS[name](path, SOURCE)
    before = path.read_bytes()
    assert (source_of(path) or "").endswith("home/a b=c; 视频.mp4")
    assert claim([path], SOURCE, overwrite=False) == claim([path], "/data/b.mp4", overwrite=True) == {}
    others = claim([path], "/data/b.mp4", overwrite=False)
    assert others == {path: source_of(path)} and path.read_bytes() == before
    set_aside(others)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(f"{path.stem}-1{path.suffix}", before)]


def test_what_is_kept_of_a_source_has_the_same_number_and_nothing_is_in_its_place(tmp_path: Path) -> None:
    for name in ("poses.npz", "poses.mp4", "poses.mcap", "poses.2.mcap"):
        RESULTS[name.replace(".2", "")](tmp_path / name, "/data/a.mp4")
    for name in ("poses-1.mp4", "poses-2.7.mcap"):
        (tmp_path / name).touch()
    names = ["poses.npz", "poses.mp4", "poses.mcap"]
    lines = set_aside(claim([tmp_path / name for name in names], "/data/b.mp4", overwrite=False))
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"poses-1.mp4", "poses-2.7.mcap", "poses-3.npz", "poses-3.mp4", "poses-3.mcap", "poses-3.2.mcap"}
    assert lines[0] == f"kept the result of /data/a.mp4 as {tmp_path / 'poses-3.npz'}"
    assert set_aside({}) == []


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_does_not_say_its_source_is_somebody_elses(tmp_path: Path, name: str) -> None:
    OTHERS[name](tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(UserError, match="this file is no result that says its source") as error:
        claim([tmp_path / name], SOURCE, overwrite=False)
    assert "\n" not in str(error.value) and (tmp_path / name).read_bytes() == before
    claim([tmp_path / name], SOURCE, overwrite=True)


def test_a_network_is_known_by_what_its_checkpoint_holds(tmp_path: Path) -> None:
    for name, seed in (("a.bin", 1), ("b.bin", 2)):
        path = write(tmp_path / name, checkpoint(random_model((3, 3), 8, seed)))
        onnx.save(convert(path, (3, 3), False, Fraction(50)), tmp_path / f"{name}.onnx")
    sources = [source_of(tmp_path / f"{name}.onnx") for name in ("a.bin", "b.bin")]
    assert [str(source)[:15] for source in sources] == ["a.bin (sha256 " + str(sources[0])[14], "b.bin (sha256 " + str(sources[1])[14]]
    assert str(sources[0])[14:] != str(sources[1])[14:]


def test_a_source_is_the_same_by_whatever_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder" / "a.mp4").touch()
    poses(tmp_path / "poses.npz", str(tmp_path / "folder" / "a.mp4"))
    for way in ("link/a.mp4", "folder/../link/a.mp4"):
        claim([tmp_path / "poses.npz"], str(tmp_path / way), overwrite=False)


def test_an_empty_file_and_one_that_is_not_there_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "poses.npz").touch()
    claim([tmp_path / "poses.npz", tmp_path / "missing" / "poses.mp4"], SOURCE, overwrite=False)


def linked_softly(source: Path, output: Path) -> None:
    output.symlink_to(source)


def linked_hard(source: Path, output: Path) -> None:
    os.link(source, output)  # Path.hardlink_to is new in Python 3.10


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("linked", [linked_softly, linked_hard])
def test_what_is_read_is_never_written_over_by_whatever_name(tmp_path: Path, linked: Any, overwrite: bool) -> None:
    source, other = tmp_path / "a.mp4", tmp_path / "settings.yaml"
    source.write_bytes(b"all")
    other.write_bytes(b"all")
    linked(source, tmp_path / "poses.mp4")
    linked(other, tmp_path / "poses.npz")
    for output in (source, tmp_path / "folder" / ".." / "a.mp4", tmp_path / "poses.mp4", tmp_path / "poses.npz"):
        with pytest.raises(UserError, match="this file is read, and would be lost"):
            claim([output], str(source), other, None, overwrite=overwrite)


@pytest.mark.parametrize("source", ["poses.mcap", "poses.2.mcap", "link.mcap"])
def test_a_recording_is_read_and_written_in_all_its_parts(tmp_path: Path, source: str) -> None:
    for name in ("poses.mcap", "poses.2.mcap"):
        recording(tmp_path / name, SOURCE)
    (tmp_path / "link.mcap").symlink_to("poses.2.mcap")
    with pytest.raises(UserError, match=r"poses(\.2)?\.mcap: this file is read"):
        claim([tmp_path / "poses.mcap"], str(tmp_path / source), overwrite=True)


def test_a_later_part_of_another_source_is_a_result_of_it_too(tmp_path: Path) -> None:
    recording(tmp_path / "poses.3.mcap", "/data/b.mp4")
    assert claim([tmp_path / "poses.mcap"], SOURCE, overwrite=False) == {tmp_path / "poses.mcap": "/data/b.mp4"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_results_do_not_lie_among_the_pictures_that_are_read(tmp_path: Path, overwrite: bool) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "out").mkdir(parents=True)
    (tmp_path / "link").symlink_to("pictures")
    for folder in (pictures, tmp_path / "link", pictures / "out" / ".."):
        with pytest.raises(UserError, match="the pictures are read from this folder; name another for the results"):
            claim([folder / "poses.npz"], str(pictures), overwrite=overwrite)
    claim([pictures / "out" / "poses.npz", tmp_path / "poses.npz"], str(pictures), overwrite=overwrite)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_place_of_a_result_is_told_before_the_work(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "poses.npz").mkdir()
    with pytest.raises(UserError, match="a folder has the name of a result"):
        claim([tmp_path / "poses.npz"], SOURCE, overwrite=overwrite)
