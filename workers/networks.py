"""Which file a network is in: the NPU's folder where the config names one, else the store of the CPU's."""

from __future__ import annotations

from pathlib import Path

from app.config import Config
from models.backend import Model, open_model
from models.store import path_of


def open_network(name: str, config: Config, threads: int) -> Model:
    """The network of that name in the manifest, ready to run; close it in the end. Raises ModelError, DeviceError."""
    if config.npu.folder:
        return open_model(Path(config.npu.folder) / f"{name}.om", threads, config.npu.device)
    return open_model(path_of(name, config.models_path()), threads)
