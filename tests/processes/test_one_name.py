"""poselift works in a folder of any names: it is one name among the packages, and never imports from the current folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_board_install import board_python

NAMES = ("app", "models", "workers", "bench", "yaml", "zmq", "numpy", "typing", "dataclasses")
"""Our folders, packages that we use, and what Python brings."""
PYTHONS = {"this Python": lambda: Path(sys.executable), "a board's": board_python}


@pytest.fixture(params=["files", "folders"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a module or a package of each name, none of which can be imported."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in NAMES:
        place = folder / f"{name}.py"
        if request.param == "folders":
            (folder / name).mkdir()
            place = folder / name / "__init__.py"
        place.write_text(f"raise RuntimeError('this is the {name} of somebody else')\n")
    return folder


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> Path:
    return PYTHONS[request.param]()


def run(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_program_imports_it(python: Path, full: Path) -> None:
    for name in NAMES[4:]:  # whoever imports from there has these of somebody else anyway
        for path in (full / f"{name}.py", full / name / "__init__.py"):
            path.unlink(missing_ok=True)
    done = run(full, python, "-c", "import poselift; print(poselift.connect.__name__, poselift.Pose3D.__name__)")
    assert (done.stdout, done.returncode) == ("connect Pose3D\n", 0), done.stderr


def test_its_command_and_its_workers_run_there(python: Path, full: Path, runtime_folder: Path) -> None:
    (full / "config.yaml").write_text(f"runtime_folder: {runtime_folder / 'run'}\nworkers: [capture]\n")
    done = run(full, python.with_name("poselift"), "up", "test:64x48@30,frames=3", "--config", "config.yaml")
    assert done.returncode == 0 and "capture: left" in done.stdout and "died" not in done.stdout, done.stdout + done.stderr


def test_every_setting_is_at_hand(python: Path, full: Path) -> None:
    command = python.with_name("poselift")
    shown = run(full, command, "config")
    assert shown.stdout == (Path(__file__).parents[2] / "config.yaml").read_text() and shown.returncode == 0, shown.stderr
    mine = full / "mine.yaml"
    mine.write_text(shown.stdout)
    assert run(full, command, "config", mine).stderr == f"{mine}: all settings in it are known and allowed\n"
    mine.write_text("capture: {sauce: 1}\n")
    wrong = run(full, command, "config", mine)
    assert wrong.returncode == 2 and "unknown key capture.sauce" in wrong.stderr and wrong.stderr.count("\n") == 1
