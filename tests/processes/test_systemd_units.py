"""systemd's own judgement of the unit files: without errors, and with little that a worker could do wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from poselift.app.cli.units import RUNTIME_FOLDER, TARGET, opens_npu, unit_files
from poselift.app.config import Config
from poselift.app.dataflow.streams import WORKERS

EXPOSURE = {False: 3.0, True: 3.5}
"""The worst mark (0 to 10) of a service, and of one that opens the NPU, which must be in process 1's mount namespace."""
CONFIG = Config().changed(runtime_folder=str(RUNTIME_FOLDER), record={"folder": "/data"}, npu={"folder": "/opt/om"})


@pytest.fixture
def version() -> int:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here: install the package systemd")
    return int(subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout.split()[1])


def analyse(*words: str) -> str:
    """What systemd-analyze says; it fails where it finds something."""
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def install(folder: Path, *, system: bool) -> list[str]:
    """The files in a folder, and the units among them by their paths."""
    script = folder / "poselift"
    script.touch(0o755)
    files = unit_files(CONFIG, Path("/etc/poselift.yaml"), script, system=system, groups=["video"], cann={"ASCEND_OPP_PATH": "/a b/opp"})
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for worker in WORKERS:  # an instance has no file of its own, and systemd-analyze wants one
        (folder / f"poselift@{worker}.service").symlink_to("poselift@.service")
    return [str(folder / name) for name in (TARGET, *(f"poselift@{worker}.service" for worker in WORKERS))]


@pytest.mark.parametrize("system", [True, False], ids=["system", "user"])
def test_verify_finds_nothing(version: int, tmp_path: Path, system: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    said = analyse(*([] if system else ["--user"]), "verify", *install(tmp_path, system=system))
    assert [line for line in said.splitlines() if "poselift" in line] == []


@pytest.mark.parametrize("worker", WORKERS)
def test_a_service_of_the_system_is_exposed_little(version: int, tmp_path: Path, worker: str) -> None:
    if version < 250:
        pytest.skip(f"systemd {version} judges running services only, from 250 on files too")
    _, *services = install(tmp_path, system=True)
    (path,) = (path for path in services if path.endswith(f"@{worker}.service"))
    said = analyse("security", "--offline=yes", path)
    (exposure,) = re.findall(r"Overall exposure level for poselift@\w+\.service: ([\d.]+)", said)
    assert float(exposure) <= EXPOSURE[opens_npu(CONFIG, worker)], said
