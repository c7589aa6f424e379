"""How everybody is, for Prometheus: answers HTTP on this machine's own address."""

from __future__ import annotations

from poselift.app.config import Config
from poselift.app.dataflow.bus import Bus
from poselift.app.processes.loop import Loop, Rest
from poselift.common.errors import UserError

RARELY = Rest(0.1)
"""Prometheus asks every few seconds."""


def run(config: Config, bus: Bus) -> None:
    """What the workers say, as it comes, until the pipeline ends."""
    address = config.metrics.address
    assert address is not None
    try:
        from poselift.app.metrics.prometheus import Metrics
        from poselift.app.metrics.server import answering
    except ModuleNotFoundError as error:  # an extra
        raise UserError(f"metrics.address is set, and {error.name} is not here; type: pip install 'poselift[metrics]'") from None
    metrics = Metrics()
    with answering(address, metrics.registry):
        loop = Loop(bus, RARELY)
        loop.on_signals()
        for message in loop.inputs():
            metrics.add(message)
            loop.done(message)
        loop.end()
