"""The fixture `npu`: a simulated board in this process. `environment` and `reports` do the same for other processes.

The fixture fails a test that leaves a violation, or pyACL initialised.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sim_acl.faults import Faults

if TYPE_CHECKING:
    from acl_simulator.npu import Npu
    from acl_simulator.report import Report

FOLDER = Path(__file__).parent
"""What is put on the path: it holds the package `acl`."""
BOTH_MODES = pytest.mark.parametrize("npu", [{"run_mode": "HOST"}, {"run_mode": "DEVICE"}], indirect=True, ids=["host", "device"])
"""Runs a test that takes `npu` in both run modes."""


class Board:
    """What a test holds of the simulated board."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults(folder / "faults.json")

    def start(self, **settings: Any) -> Npu:
        """A fresh board with these `acl_simulator.settings.Settings`: run_mode, soc, devices, memory_bytes."""
        from acl_simulator.npu import start
        from acl_simulator.settings import Settings

        return start(Settings(**settings), self.faults.file)

    @property
    def here(self) -> Npu:
        """The simulator's own view."""
        from acl_simulator.npu import npu

        return npu()

    @property
    def report(self) -> Report:
        """Calls, copied bytes, what is held, violations."""
        return self.here.report

    def expect_violation(self, part: str) -> None:
        """There is a violation that says so; it no longer fails the test."""
        found = [violation for violation in self.report.violations if part in violation]
        assert found, f"no violation says '{part}': {self.report.violations}"
        self.report.violations[:] = [violation for violation in self.report.violations if part not in violation]


@pytest.fixture
def npu(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """`import acl` gives the simulator until the test ends; its parameter is a dict of settings."""
    monkeypatch.syspath_prepend(str(FOLDER))
    board = Board(tmp_path)
    board.start(**getattr(request, "param", {}))
    yield board
    _forget_acl()
    board.faults.end()
    assert not board.report.violations, board.report.violations
    assert not board.here.initialised, "pyACL was left initialised"


@pytest.fixture
def wrong_acl(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`import acl` gives a module that has nothing to do with pyACL, until the test ends."""
    monkeypatch.syspath_prepend(str(FOLDER / "wrong_acl"))
    yield
    _forget_acl()


def _forget_acl() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "acl"]:
        del sys.modules[name]


def environment(folder: Path, **settings: Any) -> dict[str, str]:
    """Variables for a process that is to have a simulated board; reports and faults go through `folder`."""
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    given = {f"SIM_ACL_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, "PYTHONPATH": path, "SIM_ACL_REPORT": str(folder), "SIM_ACL_FAULTS": str(folder / "faults.json"), **given}


def reports(folder: Path) -> dict[int, dict[str, Any]]:
    """What the processes wrote, by process id."""
    return {int(path.stem): json.loads(path.read_bytes()) for path in folder.glob("[0-9]*.json")}
