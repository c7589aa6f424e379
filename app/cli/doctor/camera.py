"""The cameras: V4L2 devices, and the board's own."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from poselift.app.cli.doctor.finding import Finding
from poselift.app.redact import display_name
from poselift.workers.sources import kind_of, kinds

DEV = Path("/dev")


def look(source: str, dev: Path = DEV) -> Iterator[Finding]:
    """What can be opened, whatever the config's source is; and acllite, where that is a camera on the board's connector."""
    devices = sorted(dev.glob("video*"))
    open_to_us = [str(device) for device in devices if os.access(device, os.R_OK | os.W_OK)]
    if devices and not open_to_us:
        remedy = f"sudo usermod -aG video {os.environ.get('USER', '$USER')}, and log in again"
        yield Finding("cameras", f"no permission for {', '.join(map(str, devices))}", False, remedy)
    else:
        yield Finding("cameras", ", ".join(open_to_us) or "none (videos and rtsp:// work without)", bool(open_to_us))
    kind = kind_of(source)
    if kind is None:
        yield Finding("source", f"{display_name(source)} is no kind of source", False, f"set capture.source to {kinds()}")
    elif kind.npu:
        place = _acllite()
        remedy = "" if place else "copy acllite to the board, build its library, add its folder to PYTHONPATH: docs/board.md"
        yield Finding(f"camera {source}", f"acllite in {place}" if place else "acllite is not on PYTHONPATH", bool(place), remedy)


def _acllite() -> str:
    """The folder of acllite's camera module; empty where it is not there. Nothing is imported: that needs the NPU."""
    spec = importlib.util.find_spec("cameracapture")
    if spec and spec.origin:
        return str(Path(spec.origin).parent)
    package = importlib.util.find_spec("acllite")
    folders = package.submodule_search_locations or [] if package else []
    return next((folder for folder in folders if (Path(folder) / "cameracapture.py").is_file()), "")
