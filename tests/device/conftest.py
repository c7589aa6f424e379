"""The NPU that these tests run on: the simulated one in both run modes, and on a board (`pytest -m device tests/device`) the real one.

On a board, POSELIFT_NPU_FOLDER names the folder of networks that was converted for it. Not run on hardware.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

VARIABLE = "POSELIFT_NPU_FOLDER"


@pytest.fixture(scope="session")
def real_board() -> Iterator[Path]:
    """The folder of networks. The device is held for the whole session: pyACL is not known to take a second init in one process."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"needs an Ascend board, and {VARIABLE} to name the folder of networks converted for it")
    from poselift.models.backends.ascend_device import acquire, release

    device = acquire(0)
    yield Path(os.environ[VARIABLE])
    release(device)


@pytest.fixture(params=["HOST", "DEVICE", pytest.param("board", marks=pytest.mark.device)])
def networks(request: pytest.FixtureRequest) -> Path:
    """A folder with networks, each as .om, .json and .onnx: on the simulated NPU all that there are, the lifter for two people."""
    if request.param == "board":
        return request.getfixturevalue("real_board")
    request.getfixturevalue("npu").start(run_mode=request.param)
    return request.getfixturevalue("npu_networks_for_two")
