"""Which networks the config uses, and where they run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from poselift.app.cli.doctor.finding import Finding
from poselift.app.config import Config
from poselift.models import store


class Wanted(NamedTuple):
    """What runs networks under a config; both, where the lifter is named apart."""

    cpu: bool
    npu: bool


def wanted(config: Config) -> Wanted:
    """`npu.folder` puts all networks on the NPU; `lift.model` says by its ending where the lifter runs."""
    ending = Path(config.lift.model or "").suffix.lower()
    return Wanted(cpu=not config.npu.folder or ending == ".onnx", npu=bool(config.npu.folder) or ending == ".om")


def om_files(config: Config) -> list[Path]:
    """The files that the NPU runs, there or not."""
    names = [entry.name for entry in store.entries().values() if entry.kind != "copied"] if config.npu.folder else []
    files = [Path(config.npu.folder or "") / f"{name}.om" for name in names if not (name == "lifter" and config.lift.model)]
    own = Path(config.lift.model or "")
    return [*files, own] if own.suffix.lower() == ".om" else files


def look(config: Config, on: Wanted) -> Iterator[Finding]:
    """What the CPU runs; `device` looks at the NPU's networks."""
    if not on.cpu:
        yield Finding("networks run on", f"the NPU, from {config.npu.folder}", True)
        return
    try:
        yield Finding("networks run on", f"the CPU{' and the NPU' * on.npu}: onnxruntime {version('onnxruntime')}", True)
    except PackageNotFoundError:
        remedy = "pip install 'poselift[cpu]', or name the NPU's networks in npu.folder"
        yield Finding("networks run on", "the CPU, but onnxruntime is not installed", False, remedy)
    own = Path(config.lift.model or "")
    if own.suffix.lower() == ".onnx":
        there = own.is_file()
        yield Finding(
            "lifter", str(own) if there else f"{own} is missing", there, "" if there else "set lift.model to a file that is there"
        )
    if config.npu.folder:
        return
    for entry, path, state, reason in store.status(config.models_path()):
        ok = state == "present"
        optional = entry.kind == "copied"
        yield Finding(f"model {entry.name}", str(path) if ok else reason or state, ok, "" if ok or optional else "poselift models pull")
