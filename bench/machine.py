"""Which machine and which software the figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("poselift", "onnxruntime", "numpy", "opencv-python-headless", "av", "pyzmq", "msgpack")
BUSY = 0.3
"""A machine with more load than this, per core, before the bench begins, has other things to do."""


def machine() -> list[tuple[str, str]]:
    """What and value, for people. To be asked before anything else runs: it looks at the load."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", commit()),
        ("CPU", cpu()),
        ("cores", f"{cores} of {os.cpu_count()} usable"),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("system", f"{_release()}, Linux {platform.release()}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("load before", f"{load:.2f}" + (": BUSY, these figures mean little" if load > BUSY * cores else "")),
    ]


def cpu() -> str:
    """The processor's name, and whether the machine is virtual."""
    facts = dict(_pairs(Path("/proc/cpuinfo"), ":"))
    board = Path("/proc/device-tree/model")  # most ARM processors have no name in cpuinfo
    name = facts.get("model name") or (board.read_text().rstrip("\0") if board.exists() else platform.machine())
    return f"{name} ({platform.machine()}{', virtual machine' if 'hypervisor' in facts.get('flags', '').split() else ''})"


def commit() -> str:
    """The commit of this working tree, and whether it was changed since; 'unknown' outside a clone."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        found = subprocess.run(git, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown (no git)"
    return found.stdout.strip() or "unknown (no clone)"


def _release() -> str:
    return dict(_pairs(Path("/etc/os-release"), "=")).get("PRETTY_NAME", "Linux").strip('"')


def _pairs(path: Path, between: str) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines() if path.exists() else ():
        key, found, value = line.partition(between)
        if found:
            yield key.strip(), value.strip()
