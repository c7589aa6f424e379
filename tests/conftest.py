"""What all tests share: nobody's settings, no network, a runtime folder that sockets fit into."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sim_acl.fixtures import npu as npu
from sim_acl.fixtures import wrong_acl as wrong_acl
from sim_acl.networks import exact_npu_networks as exact_npu_networks
from sim_acl.networks import npu_networks as npu_networks
from sim_acl.networks import npu_networks_for_two as npu_networks_for_two

from poselift.models.store import default_folder

KEPT = ("POSELIFT_SHARED", "POSELIFT_PEER_PYTHON", "POSELIFT_NPU_FOLDER")
"""Variables that tell tests where to find what they compare with."""


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The developer's own settings and folders play no part; pulled models are found where they were pulled to."""
    with pytest.MonkeyPatch.context() as patch:
        models = default_folder()
        for name in os.environ:
            if name.startswith("POSELIFT_") and name not in KEPT:
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("POSELIFT_MODELS", str(models))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # else each of many processes compiles all of ours anew
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # to make threads is a sixth of what a pipeline's start costs, and many start here
        patch.setenv("PYDANTIC_DISABLE_PLUGINS", "true")  # to look for some takes 30 ms of every start, and there are none
        yield


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Only this machine answers."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "localhost", "::1")):
            pytest.fail(f"a test reaches for the network: {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        yield


@pytest.fixture
def runtime_folder() -> Iterator[Path]:
    """An empty folder in memory whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 4 MB. Skips where this machine does not let us make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if not mounted or mounted.returncode:
        pytest.skip("needs to mount a small disk, which only root may")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
