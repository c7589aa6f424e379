"""What commands write: whole or not at all, never over what they read, and others' results are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import h36m_files
import numpy as np
import pytest
import torch_files
from made_video import numbered, write_video
from patience import PATIENCE_S
from pipeline_run import poselift

from poselift.app.dataflow.messages import Frame, Pose3D
from poselift.app.keypoints.files import Clip, write_keypoints
from poselift.app.offline.outputs import source_of
from poselift.app.recording.writer import RecordingWriter


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A session of a minute without pictures, with nobody in it."""
    nobody = np.zeros((0, 21, 3), np.float32)
    nothing, nowhere = np.zeros((0, 21), np.float32), np.zeros((0, 3), np.float32)
    flags = np.zeros(0, bool)
    with RecordingWriter(tmp_path / "session" / "session.mcap", {"config": "mode: live"}) as writer:
        for number in range(1800):
            t_ns = number * 33_333_333
            writer.write(Frame(number, t_ns, 640, 480, 30.0, 0, 0, 0, "none", b"", 1, ()))
            writer.write(
                Pose3D(
                    number, t_ns, 640, 480, np.zeros(0, np.int64), nobody, nobody, nobody, nowhere, nothing, nothing[:, :4], flags, flags
                )
            )
    return writer.path


@pytest.fixture
def exporting(recording: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`poselift export` in the middle of its video."""
    command = [sys.executable, "-m", "poselift", "export", str(recording), "-o", str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end_s = time.monotonic() + PATIENCE_S
        while not (tmp_path / "out" / "poses.npz").exists() or not open_in(process.pid, tmp_path / "out"):
            assert process.poll() is None and time.monotonic() < end_s, "the export never drew"
            time.sleep(0.02)  # nothing tells of a file that another process opens
        yield process
        process.kill()


def open_in(pid: int, folder: Path) -> list[str]:
    """The files in `folder` that a process holds open."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(file.readlink()))
    return [name for name in found if name.startswith(f"{folder}/")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_export_leaves_no_half_written_file(exporting: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals) -> None:
    exporting.send_signal(number)
    assert exporting.wait(PATIENCE_S) == (143 if number == signal.SIGTERM else -number)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["poses.npz"]


def refused(*arguments: object) -> str:
    """The one line of a command that must refuse with exit code 2."""
    done = poselift(*arguments)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 1), done
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_export_replaces_its_own_results_keeps_anothers_and_refuses_over_a_file_that_is_none(recording: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other.mcap"
    for _ in range(2):
        assert poselift("export", recording, "-o", out, "--no-render").returncode == 0
    before = contents(out)
    assert list(before) == ["poses.npz"]
    other.write_bytes(recording.read_bytes())
    done = poselift("export", other, "-o", out, "--no-render")
    assert done.returncode == 0 and f"kept the result of {recording} as {out / 'poses-1.npz'}" in done.stderr, done
    assert contents(out)["poses-1.npz"] == before["poses.npz"] and np.load(out / "poses.npz")["source"] == str(other)
    (out / "poses.mp4").write_bytes(b"a film of somebody's own")
    before = contents(out)
    assert f"{out / 'poses.mp4'}: this file is no result" in refused("export", recording, "-o", out)
    assert contents(out) == before
    assert poselift("export", recording, "-o", out, "--no-render", "--overwrite").returncode == 0
    assert sorted(contents(out)) == sorted(before)


def test_a_command_that_cannot_begin_moves_nothing(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert poselift("export", recording, "-o", out, "--no-render").returncode == 0
    before = contents(out)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.npz").write_text("no keypoints")
    for command in ("export missing.mcap", "lift missing.mp4", f"lift {tmp_path / 'text.mp4'}", f"lift {tmp_path / 'text.npz'}"):
        refused(*command.split(), "-o", out)
    assert contents(out) == before


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_source_in_the_folder_of_the_results_stays_as_it_was(recording: Path, tmp_path: Path, overwrite: list[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_video(out / "poses.mp4", numbered(3))
    (out / "poses.mcap").write_bytes(recording.read_bytes())
    (out / "poses.2.mcap").write_bytes(recording.read_bytes())
    keypoints = out / "walk" / "poses.npz"
    write_keypoints(keypoints, [Clip("walk", np.full((3, 17, 3), 9, np.float32), 640, 480, 30.0)])
    os.link(out / "poses.mp4", tmp_path / "hard.mp4")
    before = contents(out)
    for source in ("poses.mp4", "poses.mcap", "poses.2.mcap", "walk/poses.npz", "../hard.mp4"):
        assert "this file is read, and would be lost" in refused("lift", out / source, "-o", out, *overwrite)
    assert "this file is read" in refused("detect", keypoints, "-o", keypoints, *overwrite)
    assert contents(out) == before


def test_pictures_stay_alone_in_their_folder(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), np.zeros((48, 64, 3), np.uint8))
    for command in (("lift", pictures, "-o", pictures), ("detect", pictures, "-o", pictures / "k.npz")):
        assert f"{pictures}: the pictures are read from this folder" in refused(*command)
    assert sorted(contents(pictures)) == ["1.png"]


def test_an_evaluation_and_a_conversion_keep_what_they_read(tmp_path: Path) -> None:
    keypoints, positions = h36m_files.write(tmp_path, *h36m_files.contents())
    checkpoint = torch_files.write(tmp_path / "c.onnx", torch_files.checkpoint(torch_files.random_model((3, 3), 8)))
    before = contents(tmp_path)
    for read in (keypoints, positions):
        assert "this file is read" in refused("evaluate", "--keypoints", keypoints, "--positions", positions, "--json", read, "--overwrite")
    assert "this file is read" in refused("models", "convert", checkpoint, "--architecture", "3,3", "-o", checkpoint, "--overwrite")
    (tmp_path / "own.json").write_text("{}")
    assert "own.json: this file is no result" in refused(
        "evaluate", "--keypoints", keypoints, "--positions", positions, "--json", tmp_path / "own.json"
    )
    assert contents(tmp_path) == {**before, "own.json": b"{}"}


def test_lifted_keypoints_are_replaced_by_those_of_the_same_file_and_others_kept(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_keypoints(tmp_path / name, [Clip("walk", np.full((3, 17, 3), 9, np.float32), 640, 480, 30.0)])
    for name in ("a.npz", "a.npz", "b.npz"):
        done = poselift("lift", tmp_path / name, "-o", tmp_path / "out", "--no-render")
        assert done.returncode == 0, done
    found = {path.name: str(np.load(path)["source"]) for path in (tmp_path / "out" / "walk").iterdir()}
    assert found == {"poses.npz": str(tmp_path / "b.npz"), "poses-1.npz": str(tmp_path / "a.npz")}


def test_a_video_is_lifted_again_in_its_place_and_anothers_results_are_kept(configure: Any, tmp_path: Path) -> None:
    config, _ = configure()
    out = tmp_path / "out"
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, numbered(3))
    for name in ("a.mp4", "a.mp4", "b.mp4"):
        done = poselift("lift", tmp_path / name, "-o", out, "--config", config)
        assert done.returncode == 0, done
    results = ("poses.npz", "poses.mp4", "poses.mcap")
    assert {name: source_of(out / name) for name in results} == dict.fromkeys(results, str(tmp_path / "b.mp4"))
    kept = [name.replace("poses", "poses-1") for name in results]
    assert {name: source_of(out / name) for name in kept} == dict.fromkeys(kept, str(tmp_path / "a.mp4"))
    assert len(list(out.iterdir())) == 6
