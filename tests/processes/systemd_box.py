"""A real systemd to test with: process 1 of namespaces of its own, where what it changes is thrown away. Needs root and a systemd here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from patience import PATIENCE_S

import poselift
from poselift.models.store import default_folder

BOX = Path(__file__).with_name("systemd_box.sh")
VENV, PYTHON, PACKAGES, SOURCE, MODELS = map(Path, ("/opt/poselift", "/opt/python", "/opt/packages", "/opt/source", "/opt/models"))
"""Where the box has what runs this test: services see no home folder."""
COMMAND = VENV / "bin" / "poselift"


class Box:
    """A running systemd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in there, as root."""
        words = [
            "nsenter",
            "--target",
            str(self.pid),
            "--all",
            "--",
            "/usr/bin/env",
            "-i",
            f"PATH={os.defpath}:/usr/sbin:/sbin",
            *map(str, command),
        ]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def write(self, path: Path, text: str, mode: str = "644") -> None:
        """Make a file in there."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"', "sh", path, text, mode)

    def state(self, unit: str) -> dict[str, str]:
        """What systemd knows of a unit."""
        shown = self.run("systemctl", "show", unit).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def until(self, unit: str, **properties: str) -> dict[str, str]:
        """Wait until a unit has these properties; all that it has."""
        end_s = time.monotonic() + PATIENCE_S
        while not properties.items() <= (state := self.state(unit)).items():
            found = {name: state.get(name) for name in properties}
            assert time.monotonic() < end_s, f"{unit} is {found}, not {properties}; {self.run('journalctl', '-n40', '-o', 'cat').stdout}"
        return state


@contextmanager
def booted(scratch: Path, more: Mapping[Path, Path] = MappingProxyType({})) -> Iterator[Box]:
    """A systemd that has booted, and the poselift under test in /opt; `more`: folders there and here. Skips the test where none can."""
    if os.geteuid() != 0:
        pytest.skip("a systemd of its own needs root")
    for tool in ("systemctl", "unshare", "nsenter"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool} here, so no systemd to test with")
    folders = {
        PYTHON: sys.base_prefix,
        PACKAGES: sysconfig.get_path("purelib"),
        SOURCE: Path(poselift.__file__).parents[1],
        MODELS: default_folder(),
        **more,
    }
    shared = [str(word) for there, here in folders.items() for word in (here, there)]
    outside = subprocess.Popen(
        ["unshare", "--mount", BOX, scratch, *shared], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    inside: list[psutil.Process] = []
    try:
        assert outside.stdout is not None and outside.stderr is not None
        if outside.stdout.readline() != "BOOTING\n":
            pytest.skip(f"this machine lets no systemd of its own boot: {outside.stderr.read().strip()}")
        inside = psutil.Process(outside.pid).children()
        box = Box(inside[0].pid)
        _await(box)
        _equip(box)
        yield box
    finally:
        outside.kill()
        outside.communicate()
        psutil.wait_procs(inside, timeout=PATIENCE_S)
        for group in Path("/sys/fs/cgroup").glob(f"**/poselift-test-{outside.pid}"):
            for folder in sorted(filter(Path.is_dir, group.rglob("*")), reverse=True):
                folder.rmdir()
            group.rmdir()


def _await(box: Box) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while "running" not in (done := box.run("systemctl", "is-system-running", "--wait", check=False)).stdout:
        if time.monotonic() > end_s:
            pytest.skip(f"a systemd of its own does not come up here: {done.stdout}{done.stderr}")


def _equip(box: Box) -> None:
    """An environment as pip makes it, of the packages and the interpreter that run this test."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = PYTHON / "bin" / name
    box.write(VENV / "pyvenv.cfg", f"home = {interpreter.parent}\n")
    box.write(VENV / "lib" / name / "site-packages" / "shared.pth", f"{SOURCE}\n{PACKAGES}\n")
    box.write(COMMAND, f"#!{VENV}/bin/python\nfrom app.cli import main\nmain()\n", "755")
    box.run("ln", "-s", interpreter, VENV / "bin" / "python")
    box.write(Path("/etc/ld.so.conf.d/python.conf"), f"{PYTHON}/lib\n")  # where the interpreter's own library is, if it has one
    box.run("ldconfig")
