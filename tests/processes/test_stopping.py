"""Commands that are told to stop, by Ctrl-C or SIGTERM: at once, with what is done, and an exit code that says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from pipeline_run import running_lift

from poselift.app.cli.stopping import TWICE_S
from poselift.app.dataflow.messages import Frame, Pose2D, Pose3D
from poselift.app.keypoints.files import Clip, read_keypoints, write_keypoints
from poselift.app.recording.reader import read
from poselift.app.recording.writer import RecordingWriter
from poselift.common.atomic import PREFIX
from poselift.models.store import path_of

CTRL_C, TERMINATED = (pytest.mark.parametrize("number", [number]) for number in (signal.SIGINT, signal.SIGTERM))
"""All commands stop by the same means: lift is told by either signal, the others by one of them."""
LONG = "test:320x240@30,frames=100000"


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "poselift", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], what: Callable[[], object]) -> None:
    """Wait for what no event tells of: files of another process."""
    end_s = time.monotonic() + PATIENCE_S
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.02)


def last_line(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """What a command says that was told to stop by this signal; it leaves nothing half done in its folders."""
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors, errors
    line = errors.splitlines()[-1]
    assert line.startswith(f"poselift: stopped by {number.name}"), errors
    return line


def draws_in(process: subprocess.Popen[str], folder: Path) -> bool:
    """Whether a process has a file there open."""
    with suppress(FileNotFoundError):  # closed meanwhile
        return any(str(file.readlink()).startswith(f"{folder}/") for file in Path(f"/proc/{process.pid}/fd").iterdir())
    return False


def nothing_half_done(folder: Path) -> bool:
    return not list(folder.rglob(f"*{PREFIX}*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lift_keeps_what_is_done_and_draws_nothing(configure, tmp_path: Path, number: signal.Signals) -> None:
    path, config = configure()
    out = tmp_path / "out"
    with running_lift(path, LONG, out, "--render") as (process, worker):
        worker("lift")
        process.send_signal(number)
        line = last_line(process, number)
    poses = [pose.frame for pose in read(out / "poses.mcap", [Pose3D])]
    assert line == f"poselift: stopped by {number.name}; kept: the {len(poses)} frames done until then"
    assert 0 < len(poses) < 100_000 and poses == list(range(len(poses)))
    assert sorted(file.name for file in out.iterdir()) == ["poses.mcap", "poses.npz"]
    assert np.load(out / "poses.npz")["fps"] == 30
    assert not config.runtime_path().exists()


def test_lift_stops_in_the_middle_of_drawing(configure, tmp_path: Path) -> None:
    path, _ = configure()
    out = tmp_path / "out"
    with started("lift", "test:1280x720@30,frames=200", "-o", out, "--config", path) as process:
        assert process.stderr is not None and process.stderr.readline().startswith(f"wrote {out / 'poses.npz'}")
        process.send_signal(signal.SIGINT)
        assert last_line(process, signal.SIGINT).endswith(f"; kept: {out / 'poses.npz'}, without a video")
    assert sorted(file.name for file in out.iterdir()) == ["poses.mcap", "poses.npz"]


@TERMINATED
def test_detect_keeps_the_keypoints_that_it_has(configure, tmp_path: Path, number: signal.Signals) -> None:
    path, _ = configure()
    out = tmp_path / "keypoints.npz"
    with started("detect", path_of("demo_clip"), "-o", out, "--config", path) as process:
        until(process, lambda: [pose for log in tmp_path.glob(f"{PREFIX}*/*.mcap") for pose in read(log, [Pose2D]) if len(pose.person)])
        process.send_signal(number)
        line = last_line(process, number)
    (clip,) = read_keypoints(out)
    assert line.endswith(f"; kept: the {len(clip.keypoints)} frames done until then")
    assert len(clip.keypoints) > 0
    assert nothing_half_done(tmp_path)


@CTRL_C
def test_lifting_keypoints_keeps_what_is_done(tmp_path: Path, number: signal.Signals) -> None:
    still = np.random.default_rng(0).uniform(100, 400, (17, 3)).astype(np.float32)
    clips = [Clip(name, np.repeat(still[None], frames, 0), 640, 480, 30.0) for name, frames in (("a", 5), ("b", 200_000))]
    write_keypoints(tmp_path / "keypoints.npz", clips)
    out = tmp_path / "out"
    with started("lift", tmp_path / "keypoints.npz", "-o", out, "--no-render") as process:
        until(process, (out / "a" / "poses.npz").exists)
        until(process, (out / "b").exists)
        process.send_signal(number)
        line = last_line(process, number)
    kept = sum(len(np.load(file)["frame"]) for file in out.glob("*/poses.npz"))
    assert line.endswith(f"; kept: the {kept} frames done until then")
    assert 5 <= kept < 200_000
    assert nothing_half_done(tmp_path)


@TERMINATED
def test_export_keeps_the_poses(tmp_path: Path, number: signal.Signals) -> None:
    session = tmp_path / "session.mcap"
    nobody, nothing = np.zeros((0, 21, 3), np.float32), np.zeros(0, np.float32)
    with RecordingWriter(session, {"config": "mode: live"}) as writer:
        for frame in range(3000):
            writer.write(Frame(frame, frame * 33_333_333, 1280, 720, 30.0, 0, 0, 0, "none", b"", 1, ()))
            shapes = nothing, nobody, nobody, nobody, np.zeros((0, 3)), np.zeros((0, 21)), np.zeros((0, 4)), nothing, nothing
            writer.write(Pose3D(frame, frame * 33_333_333, 1280, 720, *shapes))
    out = tmp_path / "out"
    with started("export", session, "-o", out) as process:
        assert process.stderr is not None and "poses.npz" in process.stderr.readline()
        until(process, lambda: draws_in(process, out))  # who is stopped while it imports what draws does not always hear of it
        process.send_signal(number)
        assert last_line(process, number).endswith(f"; kept: {out / 'poses.npz'}, without a video")
    assert [file.name for file in out.iterdir()] == ["poses.npz"]


@CTRL_C
def test_fetching_networks_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.setenv("POSELIFT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with started("models", "pull") as process:
            silent.settimeout(PATIENCE_S)
            with silent.accept()[0]:
                process.send_signal(number)
                last_line(process, number)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_second_ctrl_c_ends_at_once(configure, tmp_path: Path) -> None:
    path, config = configure(supervisor={"stop_timeout_s": 1000.0})
    with running_lift(path, LONG, tmp_path / "out", "--render") as (process, worker):
        os.kill(worker("detect"), signal.SIGSTOP)  # so that the first one has to wait
        process.send_signal(signal.SIGINT)
        time.sleep(2 * TWICE_S)  # sooner, the second would pass for the first
        process.send_signal(signal.SIGINT)
        assert last_line(process, signal.SIGINT) == "poselift: stopped by SIGINT"
    assert not config.runtime_path().exists()


@CTRL_C
def test_the_demo_keeps_its_recording(configure, tmp_path: Path, number: signal.Signals) -> None:
    path, _ = configure()
    out = tmp_path / "demo"
    with started("demo", "-o", out, "--config", path) as process:
        until(process, lambda: (out / "session.mcap").exists() and next(read(out / "session.mcap", [Pose3D]), None))
        process.send_signal(number)
        assert last_line(process, number).endswith(" frames done until then")
    assert sorted(file.name for file in out.iterdir()) == ["poses.npz", "session.mcap"]
    assert len(np.load(out / "poses.npz")["fps"].shape) == 0
