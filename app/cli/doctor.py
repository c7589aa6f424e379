"""`poselift doctor`: what is here, what is missing, what to type."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, Optional

from rich.table import Table

from app.cli.screen import console
from app.config import Config, load
from app.errors import UserError
from app.process import make_folder, running
from app.streams import WORKERS
from models import store

PACKAGES = ("numpy", "opencv-python-headless", "pyzmq", "msgpack", "onnxruntime", "av", "mcap")
RING_BYTES = 8 * 1920 * 1080 * 3
"""Shared memory that 1080p pictures take."""


class Finding(NamedTuple):
    """One thing that was looked at. `needed` is what does not work without it; empty where nothing is amiss."""

    what: str
    found: str
    ok: bool
    remedy: str = ""


def doctor(config_path: Optional[Path]) -> None:
    """Print the findings; exit code 1 where something that every pipeline needs is missing."""
    findings = [*_python(), *_models(load(config_path)), *_runtime(load(config_path)), *_cameras(), *_npu()]
    table = Table("", "what", "found", "what to do")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]missing[/]" if finding.remedy else "[yellow]absent[/]"
        table.add_row(mark, finding.what, finding.found, finding.remedy)
    console.print(table)
    if any(not finding.ok and finding.remedy for finding in findings):
        sys.exit(1)


def _python() -> Iterator[Finding]:
    new_enough = sys.version_info >= (3, 9)
    found = f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("Python", found, new_enough, "" if new_enough else "install Python 3.9 or newer")
    for package in PACKAGES:
        try:
            yield Finding(package, version(package), True)
        except PackageNotFoundError:
            yield Finding(package, "not installed", False, f"pip install {package}")


def _models(config: Config) -> Iterator[Finding]:
    for entry, path, state, reason in store.status(config.models_path()):
        ok = state == "present"
        needed = entry.kind != "copied"
        yield Finding(f"model {entry.name}", str(path) if ok else reason or state, ok, "" if ok or not needed else "poselift models pull")


def _runtime(config: Config) -> Iterator[Finding]:
    folder = config.runtime_path()
    here = [worker for worker in WORKERS if running(folder, worker)]
    try:
        free = shutil.disk_usage(make_folder(config)).free
    except UserError as error:
        yield Finding("runtime folder", str(error), False, "set runtime_folder in a config file")
        return
    roomy = free > RING_BYTES
    remedy = "" if roomy else f"set runtime_folder to a folder with {RING_BYTES / 1e6:.0f} MB free"
    yield Finding("runtime folder", f"{folder}, {free / 1e6:.0f} MB free", roomy, remedy)
    yield Finding("running now", ", ".join(here) or "nothing", True)


def _cameras() -> Iterator[Finding]:
    devices = sorted(Path("/dev").glob("video*"))
    readable = [str(device) for device in devices if os.access(device, os.R_OK | os.W_OK)]
    if devices and not readable:
        yield Finding("cameras", "no permission", False, f"sudo usermod -aG video {os.environ.get('USER', '$USER')}, and log in again")
        return
    yield Finding("cameras", ", ".join(readable) or "none (videos and rtsp:// work without)", bool(readable))


def _npu() -> Iterator[Finding]:
    devices = sorted(Path("/dev").glob("davinci[0-9]*"))
    yield Finding("Ascend NPU", ", ".join(map(str, devices)) or "none (networks run on the CPU)", bool(devices))
