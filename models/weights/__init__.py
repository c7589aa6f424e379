"""The manifest of weights as typed data. Our own weights lie in this folder; those of others are pulled by `poselift.models.store`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional

import yaml

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.yaml"


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries what we fetch; `pip_arguments` make pip take this very file on any machine."""

    requirement: str
    file: str
    size: int
    sha256: str
    pip_arguments: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """One output of a converted network: its name in the TFLite file, its shape, and which channels alone are kept, where not all are."""

    source: str
    shape: list[int]
    channels: Optional[list[int]] = None


@dataclass(frozen=True)
class Conversion:
    """How a TFLite network becomes ONNX: see `poselift.models.convert.tflite.convert`. A new `revision` makes older results outdated."""

    revision: int
    picture: list[int]
    picture_range: tuple[float, float]
    outputs: Mapping[str, Output]


@dataclass(frozen=True)
class Entry:
    """One file of the store.

    kind: `converted` and `copied` come from `member` of `wheel`; `shipped` lies in the package itself.
    file: its name in the store. size (bytes) and sha256: of the original, before any conversion.
    """

    name: str
    kind: Literal["converted", "copied", "shipped"]
    file: str
    licence: str
    author: str
    size: int
    sha256: str
    wheel: Optional[Wheel] = None
    member: Optional[str] = None
    conversion: Optional[Conversion] = None

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return f"{self.wheel.requirement}: {self.member}" if self.wheel else "poselift"


def read_manifest(path: Path = MANIFEST) -> dict[str, Entry]:
    """All entries by name, in the manifest's order."""
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    arguments = tuple(manifest["pip_arguments"])
    wheels = {name: Wheel(**fields, pip_arguments=arguments) for name, fields in manifest["wheels"].items()}
    return {name: _entry(name, fields, wheels) for name, fields in manifest["entries"].items()}


def _entry(name: str, fields: dict[str, Any], wheels: Mapping[str, Wheel]) -> Entry:
    conversion = fields.pop("conversion", None)
    if conversion:
        outputs = {output: Output(**of_output) for output, of_output in conversion.pop("outputs").items()}
        low, high = conversion.pop("picture_range")
        conversion = Conversion(**conversion, picture_range=(low, high), outputs=outputs)
    wheel = wheels[fields.pop("wheel")] if "wheel" in fields else None
    return Entry(name=name, **fields, wheel=wheel, conversion=conversion)
