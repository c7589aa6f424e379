"""A recording is of one session: runs and boots never become one, and a recorder that dies makes no second one."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from pipeline_run import poselift
from service_manager import Service

from poselift.app.dataflow.messages import Frame, Pose3D
from poselift.app.dataflow.session import BOOT_ID
from poselift.app.processes.loop import TERMINATED
from poselift.app.recording.parts import parts
from poselift.app.recording.reader import Recording

WORKERS = ("record", "lift", "detect", "capture")


def recordings(folder: Path) -> list[Path]:
    """The recordings there without their later parts, the one that began first first."""
    found = [path for path in folder.iterdir() if path.name.count(".") == 1]
    return sorted(found, key=lambda path: Recording(path).session or ())


def assert_is_one_run(path: Path) -> int:
    """Numbers from 0 without gaps, times that rise; how many pictures."""
    recording = Recording(path)
    frames = list(recording.of(Frame))
    assert [frame.frame for frame in frames] == list(range(len(frames)))
    poses = list(recording.of(Pose3D))
    for times_ns in ([frame.t_ns for frame in frames], [pose.t_ns for pose in poses]):
        assert times_ns == sorted(set(times_ns))
    assert {pose.frame for pose in poses} <= {frame.frame for frame in frames} and poses
    return len(frames)


def test_recording_twice_into_a_folder_makes_two_sessions(configure, tmp_path: Path) -> None:
    path, _ = configure(record={"min_free_mb": 0})
    for frames in (20, 30):
        done = poselift("up", f"test:320x240@30,frames={frames}", "--record", tmp_path / "rec", "--config", path)
        assert done.returncode == 0, done.stderr
        newest = recordings(tmp_path / "rec")[-1]
        assert f"recorded to {newest}\n" in done.stdout
        assert assert_is_one_run(newest) == frames
    first, second = recordings(tmp_path / "rec")
    assert first.name == "session.mcap" and Recording(first).session != Recording(second).session
    assert assert_is_one_run(first) == 20, "the second run left it as it was"


class Day:
    """The workers as services of their own, one by one as a service manager has them."""

    def __init__(self, stack: ExitStack, folder: Path, config: Path, *before: object) -> None:
        self._stack, self._folder, self._before = stack, folder, before
        self._command = ("-m", "poselift", "run")
        self._config = config
        self.services: dict[str, Service] = {}
        for worker in WORKERS:
            self.start(worker)

    def start(self, worker: str) -> None:
        service = Service(self._folder, *self._command, worker, "--config", self._config, before=self._before)
        self.services[worker] = self._stack.enter_context(service)

    def until_recording(self) -> str:
        """Wait until the recorder has said a few times that it writes; what it writes to."""
        record = self.services["record"]
        record.until(lambda said: len(_writing(said)) > 1, "the recorder to write")
        return _writing(record.said)[-1].rpartition("recording ")[2]

    def end(self) -> None:
        """As `systemctl stop`: who sends leaves first."""
        for worker in reversed(WORKERS):
            self.services[worker].process.send_signal(signal.SIGTERM)
            assert self.services[worker].left() == TERMINATED


def _writing(said: list[str]) -> list[str]:
    return [word for word in said if word.startswith("STATUS=running") and "recording " in word and " 0.0 /s" not in word]


def test_services_of_two_days_make_two_sessions_and_a_killed_recorder_none(configure, runtime_folder: Path, tmp_path: Path) -> None:
    """The runtime folder stays as it is between the days: nobody cleans up, and there is a ring with numbers and times to go on from."""
    config, _ = configure(capture={"source": "test:320x240@15"}, record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with ExitStack() as stack:
        monday = Day(stack, runtime_folder, config)
        assert monday.until_recording() == "session.mcap"
        monday.services["record"].process.kill()
        monday.services["record"].process.wait()
        monday.start("record")
        assert monday.until_recording() == "session.mcap"
        monday.end()
    first = tmp_path / "rec" / "session.mcap"
    content = {part: part.read_bytes() for part in parts(first)}
    assert len(content) == 2 and recordings(tmp_path / "rec") == [first]
    with ExitStack() as stack:
        tuesday = Day(stack, runtime_folder, config)
        second = tmp_path / "rec" / tuesday.until_recording()
        tuesday.end()
    assert recordings(tmp_path / "rec") == [first, second]
    assert assert_is_one_run(second) > 0
    assert {part: part.read_bytes() for part in parts(first)} == content
    assert [frame.t_ns for frame in Recording(first).of(Frame)] == sorted(frame.t_ns for frame in Recording(first).of(Frame))


@pytest.mark.skipif(not shutil.which("unshare"), reason="another boot is played in a namespace of mounts")
def test_two_boots_make_two_sessions_though_clock_and_folder_are_as_before(configure, runtime_folder: Path, tmp_path: Path) -> None:
    config, _ = configure(capture={"source": "test:320x240@15"}, record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    boots = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"]
    for boot in boots:
        (tmp_path / boot).write_text(f"{boot}\n")
        as_booted = ("unshare", "-m", "sh", "-c", f'mount --bind "$0" {BOOT_ID} && exec "$@"', tmp_path / boot)
        if subprocess.run([*as_booted, "true"], capture_output=True).returncode:
            pytest.skip("needs to mount a file, which only root may")
        with ExitStack() as stack:
            day = Day(stack, runtime_folder, config, *as_booted)
            day.until_recording()
            day.end()
    found = recordings(tmp_path / "rec")
    assert [session.boot_id for path in found if (session := Recording(path).session)] == boots
    assert all(assert_is_one_run(path) for path in found)
