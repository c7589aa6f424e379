"""The folder that a user has made with `poselift models atc`: the networks as simulated .om files.

The fixture `npu_networks` has those for one person in half precision, `exact_npu_networks` in single: these differ from the CPU's by
rounding alone. `npu_networks_for_two` has those for two people in half precision, and the detector of one.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from poselift.common.errors import ModelError
from poselift.models.store import path_of

TESTS = Path(__file__).parents[1]
SOC = "Ascend310B4"


@pytest.fixture(scope="session")
def npu_networks(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Path:
    """In half precision, as ATC makes them."""
    return converted(tmp_path_factory, "npu", {})


@pytest.fixture(scope="session")
def npu_networks_for_two(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Path:
    """In half precision. A folder that was made for one person and then for two has the networks of both, and the lifter for two."""
    return converted(tmp_path_factory, "npu-for-two", {}, people=(1, 2))


@pytest.fixture(scope="session")
def exact_npu_networks(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Path:
    """In single precision."""
    return converted(tmp_path_factory, "npu-exact", {"SIM_ATC_EXACT": "yes"})


def converted(factory: pytest.TempPathFactory, name: str, variables: dict[str, str], people: Sequence[int] = (1,)) -> Path:
    """What the user's command writes when it is typed for so many people, with a stand-in for CANN's atc on the path.

    All processes of one run of the tests share it. Skips where the networks were not pulled.
    """
    for needed in ("blazepose_detector", "efficientdet_lite0", "blazepose_landmarks", "demo_clip"):
        try:
            path_of(needed)
        except ModelError as error:
            pytest.skip(str(error))
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            convert(folder, variables, people)
            (folder / "done").touch()
    return folder / SOC


def convert(folder: Path, variables: dict[str, str], people: Sequence[int]) -> Path:
    """The folder of networks, made in this one."""
    stand_in = folder / "bin" / "atc"
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text(f'#!/bin/sh\nPYTHONPATH={TESTS}:{TESTS.parent}:$PYTHONPATH exec {sys.executable} -m sim_acl.atc "$@"\n')
    stand_in.chmod(0o755)
    command = [sys.executable, "-m", "poselift", "models", "atc", "--soc", SOC, "-o", str(folder / SOC), "--people"]
    environment = {**os.environ, **variables, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    for count in people:
        done = subprocess.run([*command, str(count)], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
    return folder / SOC
