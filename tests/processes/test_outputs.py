"""What commands write: whole or not at all, never over what they read, and over others' results only when asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pipeline_run import PATIENCE_S

from app.dataflow.messages import Frame, Pose3D
from app.recording.writer import RecordingWriter


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A session of a minute without pictures, with nobody in it."""
    nobody = np.zeros((0, 17, 3), np.float32)
    nothing, nowhere = np.zeros((0, 17), np.float32), np.zeros((0, 3), np.float32)
    flags = np.zeros(0, bool)
    with RecordingWriter(tmp_path / "session" / "session.mcap", {"config": "mode: live"}) as writer:
        for number in range(1800):
            t_ns = number * 33_333_333
            writer.write(Frame(number, t_ns, 640, 480, 30.0, 0, 0, 0, "none", b"", 1, ()))
            writer.write(Pose3D(number, t_ns, 640, 480, np.zeros(0, np.int64), nobody, nobody, nobody, nowhere, nothing, flags, flags))
    return writer.path


@pytest.fixture
def exporting(recording: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`poselift export` in the middle of its video."""
    command = [sys.executable, "-m", "app.cli", "export", str(recording), "-o", str(tmp_path / "out")]
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
