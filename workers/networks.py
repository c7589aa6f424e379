"""Which networks a config uses, and which file each is in; and how long its runs take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from poselift.app.config import Config
from poselift.app.dataflow.health import Meter
from poselift.common.arrays import Array
from poselift.common.errors import UserError
from poselift.models import store
from poselift.models.backends.backend import Carrying, Model, open_model
from poselift.models.detection import DETECTORS, Detector

LIFTER, POSE = "lifter", "pose"
"""What the lifter is called, and the network in `detect.model`."""


class Network(NamedTuple):
    """A network that a config uses."""

    worker: str
    """Who opens it."""
    name: str
    """In the manifest of weights, but for the detector's own."""
    file: Optional[Path]
    """As the config names it, or in the folder of the NPU's; None where it is the store's."""
    key: str = ""
    """The setting that names the file, where it is none of the manifest's."""

    @property
    def npu(self) -> bool:
        """Whether it runs on the NPU."""
        return self.file is not None and self.file.suffix.lower() == ".om"

    def path(self, config: Config) -> Path:
        """Its file. Raises ModelError where that is the store's, and not as it should be."""
        return self.file or store.path_of(self.name, config.models_path())


def networks(config: Config) -> tuple[Network, ...]:
    """All networks that the workers of this config open, those of one worker in the order in which it takes them. Raises UserError."""
    folder, pose, own = config.npu.folder, config.detect.model, config.lift.model
    of_the_npu = {name: Path(folder) / f"{name}.om" for name in (*detector(config).networks, LIFTER)} if folder else {}
    found = [Network("detect", name, of_the_npu.get(name)) for name in detector(config).networks]
    if pose:
        found.append(Network("detect", POSE, Path(pose), "detect.model"))
    lifter = Network("lift", LIFTER, Path(own), "lift.model") if own else Network("lift", LIFTER, of_the_npu.get(LIFTER))
    return (*found, lifter)


def detector(config: Config) -> Detector:
    """The detector that the config names, else the first for so many people and its network, if it has one. Raises UserError."""
    name, own = config.detect.detector, config.detect.model is not None
    if name is None:
        return next(of for of in DETECTORS.values() if of.people >= config.detect.people and of.own == own)
    if name not in DETECTORS:
        raise UserError(f"detect.detector: {name}: there is no such detector; known: {', '.join(DETECTORS)}")
    found = DETECTORS[name]
    if found.own != own:
        what = (
            f"{name} takes no network of yours; leave out one of the two"
            if own
            else f"{name} needs a network of yours; name it in detect.model"
        )
        raise UserError(f"{'detect.model and ' * own}detect.detector: {what}")
    return found


def open_networks(worker: str, config: Config, threads: int) -> Iterator[Model]:
    """A worker's networks, ready to run, one after the other; close them in the end. Raises UserError, ModelError, DeviceError."""
    for network in networks(config):
        if network.worker == worker:
            yield open_model(network.path(config), threads, config.npu.device)


class Timed:
    """A network as it was, but that a worker's meter hears how long each run took: from its inputs in the host's memory to its outputs."""

    def __init__(self, network: Model, meter: Meter) -> None:
        self.device, self.inputs, self.outputs, self.metadata = network.device, network.inputs, network.outputs, network.metadata
        self.run, self.close = _timed(network.run, meter), network.close
        self._network, self._meter = network, meter
        meter.device = network.device

    def carrying(self, states: Mapping[str, str], rows: int) -> Carrying:
        """See `poselift.models.backends.backend.Model`."""
        carrying = self._network.carrying(states, rows)
        return _TimedCarrying(_timed(carrying.run, self._meter), carrying.close)


class _TimedCarrying(NamedTuple):
    run: Callable[..., dict[str, Array]]
    close: Callable[[], None]


def _timed(run: Callable[..., dict[str, Array]], meter: Meter) -> Callable[..., dict[str, Array]]:
    def timed(*arguments: Any, **named: Any) -> dict[str, Array]:
        begin_ns = time.perf_counter_ns()
        outputs = run(*arguments, **named)
        meter.network(time.perf_counter_ns() - begin_ns)
        return outputs

    return timed
