"""A timed network is the network, and its worker's meter hears of every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from poselift.app.dataflow.health import Meter
from poselift.models.backends.backend import Tensor
from poselift.workers.networks import Timed


class Made:
    """A network that says what it was asked, and fails when told to."""

    device = "npu"
    inputs = (Tensor("x", np.dtype(np.float32), (1,)),)
    outputs = (Tensor("y", np.dtype(np.float32), (1,)),)
    metadata: Mapping[str, str] = {"rate": "30"}

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def run(self, *asked: Any) -> Any:
        self.asked.append(asked)
        return {"y": len(self.asked)}

    def carrying(self, *asked: Any) -> Made:
        self.asked.append(asked)
        return self

    def close(self) -> None:
        self.asked.append("closed")


def test_it_is_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network, meter = Made(), Meter("lift", 1, 0)
    times = iter(range(0, 10**12, 3_000_000))
    monkeypatch.setattr("poselift.workers.networks.time.perf_counter_ns", lambda: next(times))
    timed = Timed(network, meter)
    assert (timed.device, timed.inputs, timed.outputs, timed.metadata) == (
        network.device,
        network.inputs,
        network.outputs,
        network.metadata,
    )
    assert timed.run({"x": 1}) == {"y": 1}
    carrying = timed.carrying({"a": "b"}, 2)
    assert carrying.run({"x": 2}, True) == {"y": 3}
    carrying.close()
    timed.close()
    assert network.asked == [({"x": 1},), ({"a": "b"}, 2), ({"x": 2}, True), "closed", "closed"]
    meter.done(1)
    health = meter.report("running", 1)
    assert (health.network_p50_ms, health.device) == (6.0, "npu")


def test_a_worker_without_networks_has_no_time_of_theirs() -> None:
    meter = Meter("capture", 1, 0)
    meter.done(1)
    assert math.isnan(meter.report("running", 1).network_p50_ms)
