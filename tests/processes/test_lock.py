"""The lock that tells two of a kind apart, held by real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from poselift.app.config import Config, save
from poselift.app.processes.process import SUPERVISOR_LOCK, lock, make_folder, running
from poselift.common.errors import UserError

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from pathlib import Path
from poselift.app.processes.process import lock
lock(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""

Hold = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def hold(runtime_folder: Path) -> Iterator[Hold]:
    """A process that holds a lock until it is killed."""
    holders: list[subprocess.Popen[str]] = []

    def hold(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(runtime_folder), name]
        holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        return holder

    yield hold
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_a_lock_that_is_held_is_refused_with_who_holds_it(runtime_folder: Path, hold: Hold) -> None:
    holder = hold("lift")
    with pytest.raises(UserError, match=rf"the worker lift is already running here \(process {holder.pid}, folder {runtime_folder}\)"):
        lock(runtime_folder, "lift")
    os.close(lock(runtime_folder, "detect"))


def test_the_supervisors_lock_speaks_of_poselift(runtime_folder: Path, hold: Hold) -> None:
    holder = hold(SUPERVISOR_LOCK)
    with pytest.raises(UserError, match=rf"^poselift is already running here \(process {holder.pid},"):
        lock(runtime_folder, SUPERVISOR_LOCK)


def test_a_lock_is_free_when_its_holder_was_killed(runtime_folder: Path, hold: Hold) -> None:
    holder = hold("lift")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (runtime_folder / "lift.lock").exists()
    descriptor = lock(runtime_folder, "lift")
    assert (runtime_folder / "lift.lock").read_text() == str(os.getpid())
    os.close(descriptor)


def test_whether_somebody_runs(runtime_folder: Path, hold: Hold) -> None:
    assert not running(runtime_folder, "lift")
    holder = hold("lift")
    assert running(runtime_folder, "lift")
    holder.kill()
    holder.wait()
    assert not running(runtime_folder, "lift")


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last holder removed it between our opening and locking it: another may lock the new file."""
    import fcntl

    flock, removed = fcntl.flock, []

    def remove_first(descriptor: int, how: int) -> None:
        if not removed:
            (runtime_folder / "up.lock").unlink()
            removed.append(True)
        flock(descriptor, how)

    monkeypatch.setattr("poselift.app.processes.process.fcntl.flock", remove_first)
    descriptor = lock(runtime_folder, SUPERVISOR_LOCK)
    assert os.path.samestat(os.fstat(descriptor), (runtime_folder / "up.lock").stat())
    with pytest.raises(UserError):
        lock(runtime_folder, SUPERVISOR_LOCK)
    os.close(descriptor)


def test_only_the_owner_may_open_the_folder_and_its_locks(runtime_folder: Path) -> None:
    config = Config().changed(runtime_folder=str(runtime_folder / "new"))
    folder = make_folder(config)
    os.close(lock(folder, "lift"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "lift.lock").stat().st_mode & 0o777 == 0o640, "the group of a service may look whether it runs"


def test_a_folder_that_cannot_be_had(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runtime_folder / "file").touch()
    with pytest.raises(UserError, match="this runtime_folder cannot be made"):
        make_folder(Config().changed(runtime_folder=str(runtime_folder / "file")))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(UserError, match="belongs to another user"):
        make_folder(Config().changed(runtime_folder=str(runtime_folder)))


def test_a_second_worker_of_a_kind_leaves_the_firsts_sockets_alone(runtime_folder: Path, hold: Hold) -> None:
    holder = hold("lift")
    config_path = runtime_folder / "config.yaml"
    save(Config().changed(runtime_folder=str(runtime_folder)), config_path)
    before = sorted(runtime_folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "poselift", "run", "lift", "--config", str(config_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"poselift: the worker lift is already running here (process {holder.pid}, folder {runtime_folder}); "
        "stop it, or set another runtime_folder"
    ]
    assert sorted(runtime_folder.iterdir()) == before
