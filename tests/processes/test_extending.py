"""docs/extending.md is true: what it shows is added to a copy of poselift, each piece where the page says and nowhere else, and runs."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from poselift.common.skeleton import H36M_JOINTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
FRAMES = 12

FILE = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(First|Last) in `(\w+)` in `([\w/]+\.py)`:\n\n```\n([^\n]*\n)```", re.MULTILINE)

LOOK = """
import json
from pathlib import Path
import msgpack
from typer.testing import CliRunner
from poselift.app.cli import cli
from poselift.app.cli.doctor.camera import look
from poselift.app.cli.status import process_states
from poselift.app.cli.units import unit_files
from poselift.app.config import CaptureConfig, Config
from poselift.app.dataflow.messages import Health, decode, encode
from poselift.app.dataflow.streams import drawing
from poselift.app.export import FORMATS, Content
from poselift.app.offline.outputs import source_of
from poselift.app.processes.process_states import ProcessState
from poselift.workers.networks import networks
from poselift.workers.sources import open_source

health = Health("lift", 1, 2, 3, "running", "", 4, 30.0, 1.0, 2.0, {}, 5, temperature_c=40.5)
before = msgpack.unpackb(encode(health))
del before["temperature_c"]
try:
    open_source(CaptureConfig(source="grey:x"))
except Exception as error:
    refused = str(error)
units = unit_files(Config(), None, Path("/bin/poselift"), system=True, groups=(), cann={})
Path("somebodys.csv").write_text("a,b\\n1,2\\n")
for name in ("poses.csv", "poses.npz"):
    FORMATS[name[-4:]].write(Path(name), Content(tuple, 30.0, 1.7, "grey:3"))
print(json.dumps({
    "claimed": [source_of(Path(name)) for name in ("somebodys.csv", "poses.csv", "poses.npz")],
    "running": Config().running,
    "named": Config().changed(workers=["count"]).running,
    "status": [*process_states({"count": ProcessState("running", 0)}, ["count"], ["count"])],
    "units": units,
    "drawing": drawing(),
    "help": [CliRunner().invoke(cli, [command, "--help"]).stdout for command in ("run", "up")],
    "grey": [finding.what for finding in look("grey:3", Path("/nowhere"))],
    "refused": refused,
    "networks": [network.name for network in networks(Config().changed(detect={"detector": "middle"}))],
    "health": [decode(encode(health)).temperature_c, decode(msgpack.packb(before)).temperature_c],
}))
"""


class Copy:
    """poselift with all that the page adds."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT / "poselift", folder / "poselift", ignore=shutil.ignore_patterns("__pycache__", "training"))
        for link in ("app", "models", "workers"):
            (folder / link).symlink_to(folder / "poselift" / link)
        text = PAGE.read_text()
        self.files = dict(FILE.findall(text))
        self.lines = [(path, table, place, line) for place, table, path, line in LINE.findall(text)]
        for path, content in self.files.items():
            assert not (folder / path).exists()
            (folder / path).write_text(content)
        for path, table, place, line in self.lines:
            (folder / path).write_text(added((folder / path).read_text(), table, place, line))
        self._folder = folder

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment, cwd=self._folder)
        assert done.returncode == 0, done.stderr
        return done


def added(text: str, table: str, place: str, line: str) -> str:
    """A module with one more line at the begin or the end of a table, or behind the last field of a class."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == table:
            at = [item.end_lineno for item in node.body if isinstance(item, ast.AnnAssign)][-1]
            break
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [table]:
            at = node.lineno if place == "First" else node.end_lineno - 1
            break
    else:
        raise AssertionError(f"there is no {table}")
    lines = text.splitlines(keepends=True)
    return "".join((*lines[:at], line, *lines[at:]))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("extended"))


@pytest.fixture(scope="module")
def known(copy: Copy) -> dict[str, Any]:
    """What follows from the lines."""
    return json.loads(copy.run("-c", LOOK).stdout)


@pytest.fixture(scope="module")
def lifted(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of the results of a run with all of them, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("lifted")
    config = {"runtime_folder": f"/dev/shm/poselift-test-{os.getpid()}-extended", "detect": {"detector": "middle"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = copy.run("-m", "poselift", "lift", f"grey:{FRAMES}", "-o", folder / "out", "--no-render", "--config", folder / "config.yaml")
    yield folder / "out", done.stderr
    shutil.rmtree(config["runtime_folder"], ignore_errors=True)


def test_the_page_shows_one_of_each(copy: Copy) -> None:
    assert [*copy.files] == [
        "workers/count.py",
        "workers/sources/grey.py",
        "models/detection/middle.py",
        "models/lifting/still.py",
        "app/export/places.py",
    ]
    assert [table for _, table, _, _ in copy.lines] == ["WORKERS", "KINDS", "DETECTORS", "FILTERS", "FORMATS", "Health"]


def test_a_worker(known: dict[str, Any], lifted: tuple[Path, str]) -> None:
    assert known["running"] == ["capture", "detect", "lift", "count"] and known["named"] == known["status"] == ["count"]
    assert "poselift@count.service" in known["units"]["poselift.target"]
    assert "After=poselift@count.service" in known["units"]["poselift@detect.service.d/poselift.conf"]
    assert "CPUWeight" in known["units"]["poselift@count.service.d/poselift.conf"]
    assert 'detect ==>|"Pose2D: every"| count' in known["drawing"]
    assert "count" in known["help"][0]
    assert f"count: {FRAMES} of {FRAMES} pictures show somebody" in lifted[1]


def test_a_source(known: dict[str, Any], lifted: tuple[Path, str]) -> None:
    assert known["grey"] == ["cameras"], "the doctor finds no fault with it"
    assert "grey:N" in known["help"][1] and "write grey:N" in known["refused"]
    assert np.load(lifted[0] / "poses.npz")["size_px"].tolist() == [[320, 240]] * FRAMES


def test_a_detector(known: dict[str, Any], lifted: tuple[Path, str]) -> None:
    assert known["networks"] == ["lifter"]
    poses = np.load(lifted[0] / "poses.npz")
    assert poses["person"].tolist() == [1] * FRAMES
    np.testing.assert_allclose(poses["keypoints"][:, 11, :2], [[160 + 0.07 * 240, 120]] * FRAMES, rtol=1e-6)


def test_a_filter(lifted: tuple[Path, str]) -> None:
    joints_m = np.load(lifted[0] / "poses.npz")["joints_m"]
    np.testing.assert_array_equal(joints_m, np.broadcast_to(joints_m[0], joints_m.shape))
    assert np.isfinite(joints_m[:, : len(H36M_JOINTS)]).all() and joints_m[:, : len(H36M_JOINTS)].any()


def test_an_export_format(known: dict[str, Any], lifted: tuple[Path, str]) -> None:
    made_from, head, *lines = (lifted[0] / "poses.csv").read_text().splitlines()
    assert made_from == f"# made from grey:{FRAMES}" and head.startswith("t_s,") and len(lines) == FRAMES
    assert f"poses.csv: {FRAMES} places" in lifted[1]
    assert known["claimed"] == [None, "grey:3", "grey:3"]


def test_a_message_field(known: dict[str, Any]) -> None:
    assert known["health"][0] == 40.5 and np.isnan(known["health"][1])
