"""Which networks the config uses, and where they run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from poselift.app.cli.doctor.finding import Finding
from poselift.app.config import Config
from poselift.models import store
from poselift.workers.networks import networks


class Wanted(NamedTuple):
    """What runs networks under a config; both, where the lifter is named apart."""

    cpu: bool
    npu: bool


def wanted(config: Config) -> Wanted:
    """`npu.folder` puts all networks on the NPU; `detect.model` and `lift.model` say by their ending where theirs run."""
    return Wanted(cpu=not all(it.npu for it in networks(config)), npu=any(it.npu for it in networks(config)))


def om_files(config: Config) -> list[Path]:
    """The files that the NPU runs, there or not."""
    return [it.file for it in networks(config) if it.file and it.npu]


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
    for it in networks(config):
        if it.file and not it.npu:
            there = it.file.is_file()
            remedy = "" if there else f"set {it.key} to a file that is there"
            yield Finding(it.name, str(it.file) if there else f"{it.file} is missing", there, remedy)
    if config.npu.folder:
        return
    needed = {it.name for it in networks(config) if not it.file}
    for entry, path, state, reason in store.status(config.models_path()):
        ok, found = state == "present", str(path) if state == "present" else reason or state
        if entry.name in needed or entry.kind == "copied":
            yield Finding(f"model {entry.name}", found, ok, "" if ok or entry.name not in needed else "poselift models pull")
