"""What a board has is enough: Python 3.9 and poselift without extras, installed by pip from here, run every worker on the simulated NPU.

`make board` makes that environment in .venv-board, where a Python 3.9 is found. ONNX Runtime, which the simulator needs and a board does
without, lies in a folder of its own beside it. The networks are converted here, as on a PC.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sim_acl.fixtures import FOLDER as SIMULATOR

from app.keypoint_files import Clip, write_keypoints

REPOSITORY = Path(__file__).parents[2]
BOARD = REPOSITORY / ".venv-board"
EXTRAS = ("onnxruntime", "onnx", "torch", "tflite", "vispy", "matplotlib", "ai_edge_litert", "pytest")
"""What a board has not."""
NEED_EXTRAS = ("models.onnx", "models.convert", "models.training")
"""What is imported only where the extras are."""
IMPORT_ALL = f"""
import importlib, pkgutil, sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise AssertionError(f"{{name}} is imported")

sys.meta_path.insert(0, Forbidden())
import app, models, workers, poselift
for package in (app, models, workers):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith({NEED_EXTRAS!r}) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(app.__file__)
"""


@pytest.fixture(scope="module")
def board() -> Path:
    """The board's Python, with this checkout installed."""
    python, installed = BOARD / "bin/python", BOARD / "installed"
    if not installed.is_file():
        pytest.skip(f"there is no Python 3.9 with what a board has: no {python}; type: make board")
    newer = [path for path in sources() if path.stat().st_mtime > installed.stat().st_mtime]
    if newer:
        pytest.skip(f"what {BOARD.name} has of poselift is older than {newer[0].relative_to(REPOSITORY)}; type: make board")
    return python


def sources() -> list[Path]:
    """Everything that is to be installed."""
    walks = (os.walk(REPOSITORY / name, followlinks=True) for name in ("app", "models", "workers"))
    files = [Path(folder) / name for walk in walks for folder, _, names in walk for name in names]
    return [path for path in [*files, REPOSITORY / "poselift.py"] if path.suffix != ".pyc"]


def run(python: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python away from the checkout."""
    command = [str(python), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={**os.environ, **variables}, stdin=subprocess.DEVNULL)


def poselift(python: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(python.with_name("poselift"), *arguments, **variables)


def test_what_a_board_imports_needs_no_extra():
    done = run(Path(sys.executable), "-c", IMPORT_ALL, PYTHONPATH=str(SIMULATOR))
    assert done.returncode == 0, done.stderr


def test_pip_installs_all_of_it(board: Path):
    folder = Path(run(board, "-c", "import app; print(app.__file__)").stdout.strip()).parents[1]
    assert BOARD in folder.parents
    for source in sources():
        copy = folder / source.relative_to(REPOSITORY)
        assert copy.is_file(), f"{source} is not installed: see pyproject.toml, tool.setuptools"
        assert copy.read_bytes() == source.read_bytes()


def test_it_has_no_extra_and_needs_none(board: Path):
    for name in EXTRAS[:-1]:
        assert run(board, "-c", f"import {name}").returncode == 1, f"a board has no {name}"
    done = run(board, "-c", IMPORT_ALL, PYTHONPATH=str(SIMULATOR))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(BOARD))


def test_its_python_is_the_oldest_that_is_supported(board: Path):
    assert run(board, "--version").stdout.startswith("Python 3.9.")
    assert poselift(board, "--version").stdout == "poselift 0.1.0\n"


def test_the_doctor_misses_what_runs_networks(board: Path):
    done = poselift(board, "doctor")
    assert done.returncode == 1 and "poselift[cpu]" in done.stdout and not done.stderr


def test_an_onnx_network_says_what_to_install(board: Path, tmp_path: Path):
    keypoints = tmp_path / "keypoints.npz"
    write_keypoints(keypoints, [Clip("walk", np.ones((3, 17, 3), np.float32), 640, 480, 30.0)])
    done = poselift(board, "lift", keypoints, "-o", tmp_path / "out", "--no-render")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("poselift: ") and done.stderr.endswith("type: pip install 'poselift[cpu]'\n")
