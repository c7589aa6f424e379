"""The networks in use, for people: what viewers are told of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from poselift.app.config import Config
from poselift.app.remote.wire import ModelCard
from poselift.common.errors import ModelError
from poselift.models.backends.file_metadata import file_metadata
from poselift.models.store import entries, path_of


def model_cards(config: Config) -> tuple[ModelCard, ...]:
    """Name, licence and receptive field of each network, as far as they are known."""
    detector = [_card(name, config) for name in ("blazepose_detector", "blazepose_landmarks") if "detect" in config.running]
    lifter = [_card("lifter", config, config.lift.model)] if "lift" in config.running else []
    return (*detector, *lifter)


def _card(name: str, config: Config, other: str | None = None) -> ModelCard:
    entry = entries()[name]
    facts: dict[str, str] = {}
    with suppress(ModelError, OSError):  # the worker that opens the network says so
        facts = file_metadata(_path(name, config, other))
    receptive_field = facts.get("receptive_field", "0" if name == "lifter" else "1")
    return ModelCard(
        name=facts.get("name", Path(other).stem if other else name),
        licence=facts.get("licence", "unknown" if other else entry.licence),
        receptive_field=int(receptive_field) if receptive_field.isdecimal() else 0,
    )


def _path(name: str, config: Config, other: str | None) -> Path:
    if other:
        return Path(other)
    return Path(config.npu.folder) / f"{name}.om" if config.npu.folder else path_of(name, config.models_path())
