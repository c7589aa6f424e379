"""The fixture `npu_networks`: the folder that a user has made with `poselift models atc`, its .om files simulated ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import ModelError
from models.store import path_of

TESTS = Path(__file__).parents[1]
SOC = "Ascend310B4"


@pytest.fixture(scope="session")
def npu_networks(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Path:
    """BlazePose's two networks and the lifter, for one person."""
    for name in ("blazepose_detector", "blazepose_landmarks", "demo_clip"):
        try:
            path_of(name)
        except ModelError as error:
            pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("npu")
    stand_in = folder / "bin" / "atc"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nPYTHONPATH={TESTS}:{TESTS.parent} exec {sys.executable} -m sim_acl.atc "$@"\n')
    stand_in.chmod(0o755)
    command = [sys.executable, "-m", "app.cli", "models", "atc", "--soc", SOC, "-o", str(folder / SOC)]
    environment = {**os.environ, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return folder / SOC
