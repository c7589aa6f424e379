"""Which file a network is in: the NPU's folder where the config names one, else the store of the CPU's; and how long its runs take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from poselift.app.config import Config
from poselift.app.dataflow.health import Meter
from poselift.common.arrays import Array
from poselift.models.backends.backend import Carrying, Model, open_model
from poselift.models.store import path_of


def open_network(name: str, config: Config, threads: int) -> Model:
    """The network of that name in the manifest, ready to run; close it in the end. Raises ModelError, DeviceError."""
    if config.npu.folder:
        return open_model(Path(config.npu.folder) / f"{name}.om", threads, config.npu.device)
    return open_model(path_of(name, config.models_path()), threads)


class Timed:
    """A network as it was, but that a worker's meter hears how long each run took: from its inputs in the host's memory to its outputs."""

    def __init__(self, network: Model, meter: Meter) -> None:
        self.device, self.inputs, self.outputs, self.metadata = network.device, network.inputs, network.outputs, network.metadata
        self._network, self._meter = network, meter
        meter.device = network.device

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """See `poselift.models.backends.backend.Model`."""
        with _timed(self._meter):
            return self._network.run(tensors)

    def carrying(self, states: Mapping[str, str], rows: int) -> TimedCarrying:
        """See `poselift.models.backends.backend.Model`."""
        return TimedCarrying(self._network.carrying(states, rows), self._meter)

    def close(self) -> None:
        """Close the network."""
        self._network.close()


class TimedCarrying:
    """The same of a network with a past."""

    def __init__(self, network: Carrying, meter: Meter) -> None:
        self._network, self._meter = network, meter

    def run(self, tensors: Mapping[str, Array], keep: bool) -> dict[str, Array]:
        """See `poselift.models.backends.backend.Carrying`."""
        with _timed(self._meter):
            return self._network.run(tensors, keep)

    def close(self) -> None:
        """Close the network's past."""
        self._network.close()


@contextmanager
def _timed(meter: Meter) -> Iterator[None]:
    begin_ns = time.perf_counter_ns()
    yield
    meter.network(time.perf_counter_ns() - begin_ns)
