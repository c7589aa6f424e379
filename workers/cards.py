"""The networks in use, for people: what viewers are told of them."""

from __future__ import annotations

from contextlib import suppress

from poselift.app.config import Config
from poselift.app.remote.wire import ModelCard
from poselift.common.errors import ModelError
from poselift.models.backends.file_metadata import file_metadata
from poselift.models.weights import read_manifest
from poselift.workers.networks import Network, networks


def model_cards(config: Config) -> tuple[ModelCard, ...]:
    """Name, licence and receptive field of each network of the workers that run, as far as they are known."""
    return tuple(_card(network, config) for network in networks(config) if network.worker in config.running)


def _card(network: Network, config: Config) -> ModelCard:
    facts: dict[str, str] = {}
    with suppress(ModelError, OSError):  # the worker that opens the network says so
        facts = file_metadata(network.path(config))
    receptive_field = facts.get("receptive_field", "0" if network.name == "lifter" else "1")
    return ModelCard(
        name=facts.get("name", network.file.stem if network.file and network.key else network.name),
        licence=facts.get("licence", "unknown" if network.key else read_manifest()[network.name].licence),
        receptive_field=int(receptive_field) if receptive_field.isdecimal() else 0,
    )
