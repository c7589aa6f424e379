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
from pipeline_run import write_config
from sim_acl.fixtures import FOLDER as SIMULATOR
from sim_acl.fixtures import environment, reports

from poselift.app.dataflow.messages import Frame, Pose2D, Pose3D
from poselift.app.keypoints.files import Clip, write_keypoints
from poselift.app.recording.reader import read
from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.weights import FOLDER as SHIPPED

REPOSITORY = Path(__file__).parents[2]
BOARD = REPOSITORY / ".venv-board"
EXTRAS = ("onnxruntime", "onnx", "torch", "tflite", "vispy", "matplotlib", "ai_edge_litert", "pytest")
"""What a board has not."""
WORKERS_TESTS = (
    *("unit/test_blazepose.py", "unit/test_blazepose_[dlr]*.py", "unit/test_config.py", "unit/test_doctor.py", "unit/test_export_npz.py"),
    *("unit/test_frames.py", "unit/test_messages.py", "unit/test_recording.py", "unit/test_sources*.py", "unit/test_streams.py"),
    "processes/test_bus.py",
)
"""What the board's workers are tested by, where no network is run."""
NPU_TESTS = ("unit/test_ascend*.py", "device/test_*.py")
"""What runs networks on the simulated NPU. These tests make them, by the package onnx, and judge them by ONNX Runtime."""
NEED_EXTRAS = (
    "poselift.models.backends.onnx",
    "poselift.models.convert",
    "poselift.models.training",
    "poselift.app.view",
    "poselift.app.metrics",
    "poselift.workers.metrics",
)
"""What is imported only where the extras are."""
IMPORT_ALL = f"""
import importlib, pkgutil, sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise AssertionError(f"{{name}} is imported")

sys.meta_path.insert(0, Forbidden())
import poselift
for module in pkgutil.walk_packages(poselift.__path__, "poselift."):
    if not module.name.startswith({NEED_EXTRAS!r}) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(poselift.__file__)
"""


@pytest.fixture(scope="module")
def board() -> Path:
    return board_python()


def board_python() -> Path:
    """The board's Python, with this checkout installed; skips the test where it is not there, or older than the sources."""
    python, installed = BOARD / "bin/python", BOARD / "installed"
    if not installed.is_file():
        pytest.skip(f"there is no Python 3.9 with what a board has: no {python}; type: make board")
    newer = [path for path in sources() if path.stat().st_mtime > installed.stat().st_mtime]
    if newer:
        pytest.skip(f"what {BOARD.name} has of poselift is older than {newer[0].relative_to(REPOSITORY)}; type: make board")
    return python


def sources() -> list[Path]:
    """Everything that is to be installed."""
    files = [Path(folder) / name for folder, _, names in os.walk(REPOSITORY / "poselift", followlinks=True) for name in names]
    return [path for path in files if path.suffix != ".pyc" and REPOSITORY / "poselift/models/training" not in path.parents]


def run(python: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python away from the checkout."""
    command = [str(python), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={**os.environ, **variables}, stdin=subprocess.DEVNULL)


def poselift(python: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(python.with_name("poselift"), *arguments, **variables)


def pytest_there(python: Path, patterns: tuple[str, ...], **variables: str) -> str:
    """Run tests of the checkout with the board's Python; the last line that pytest prints."""
    tests = [str(path) for pattern in patterns for path in sorted((REPOSITORY / "tests").glob(pattern))]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done.stdout.splitlines()[-1]


def test_what_a_board_imports_needs_no_extra():
    done = run(Path(sys.executable), "-c", IMPORT_ALL, PYTHONPATH=str(SIMULATOR))
    assert done.returncode == 0, done.stderr


def test_without_onnxruntime_a_network_for_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "poselift.models.backends.onnx", raising=False)
    with pytest.raises(ModelError, match=r"needs ONNX Runtime.*type: pip install 'poselift\[cpu\]'"):
        open_model(SHIPPED / "lifter.onnx")


def test_pip_installs_all_of_it(board: Path):
    folder = Path(run(board, "-c", "import poselift; print(poselift.__file__)").stdout.strip()).parents[1]
    assert BOARD in folder.parents
    for source in sources():
        copy = folder / source.relative_to(REPOSITORY)
        assert copy.is_file(), f"{source} is not installed: see pyproject.toml, tool.setuptools"
        assert copy.read_bytes() == source.read_bytes()
    assert not (folder / "poselift/models/training").exists(), "training is not for a board"
    (record,) = folder.glob("poselift-*.dist-info/RECORD")
    rooms = {line.split("/")[0] for line in record.read_text().splitlines()}
    assert rooms == {"poselift", record.parent.name, ".."}, "one name beside other packages, and the command"


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
    write_keypoints(keypoints, [Clip("walk", np.full((3, 17, 3), 9, np.float32), 640, 480, 30.0)])
    done = poselift(board, "lift", keypoints, "-o", tmp_path / "out", "--no-render")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("poselift: ") and done.stderr.endswith("type: pip install 'poselift[cpu]'\n")


def test_the_whole_pipeline_runs_on_the_npu(board: Path, npu_networks: Path, clip_pictures: Path, runtime_folder: Path, tmp_path: Path):
    """The doctor is content; a file with nothing lost; live, with a recording. Every process leaves the NPU as it found it."""
    settings = {"npu": {"folder": str(npu_networks)}, "detect": {"people": 1}, "runtime_folder": str(runtime_folder / "run")}
    config = write_config(tmp_path / "board.yaml", settings)
    reported = tmp_path / "reported"
    reported.mkdir()

    def on_npu(run_mode: str, *arguments: object) -> None:
        variables = environment(reported, run_mode=run_mode)
        done = poselift(board, *arguments, "--config", config, **variables, SIM_ACL_PACKAGES=str(BOARD / "simulator"))
        assert done.returncode == 0, done.stdout + done.stderr

    on_npu("HOST", "doctor")
    on_npu("HOST", "lift", clip_pictures, "-o", tmp_path / "file", "--no-render")
    poses = np.load(tmp_path / "file/poses.npz")
    assert len(poses["t_s"]) > 30 and np.isfinite(poses["joints_m"][:, :17]).all()
    on_npu("DEVICE", "up", clip_pictures, "--record", tmp_path / "live")
    on_npu("DEVICE", "export", tmp_path / "live/session.mcap", "-o", tmp_path / "exported", "--no-render")
    assert {Frame, Pose2D, Pose3D} <= {type(message) for message in read(tmp_path / "live/session.mcap")}
    answers = reports(reported).values()
    used = sum(answer["calls"].get("mdl.execute_async", 0) > 0 for answer in answers)
    assert used >= 3, "detect and lift from the file, and detect live, where nobody may be seen on a busy machine"
    assert not any(answer["violations"] or any(answer["held"].values()) for answer in answers)


def test_the_workers_tests_pass_there(board: Path):
    assert " passed" in pytest_there(board, WORKERS_TESTS)


def test_the_npus_tests_pass_there(board: Path):
    assert " passed" in pytest_there(board, NPU_TESTS, PYTHONPATH=str(BOARD / "simulator"))
