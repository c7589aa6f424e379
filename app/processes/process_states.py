"""The state of each worker's process, as its supervisor knows it: a small file in the runtime folder, for other processes to read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from poselift.common.atomic import replacing

FILE = "process_states.yaml"
"""By this ending the supervisor knows what it may remove before and after a run."""
STARTING, RUNNING, SILENT, DEAD, LEFT = "starting", "running", "silent", "dead", "left"
"""It has not reported yet; it reports; it has not for a while; it will be restarted; its work is done."""


class ProcessState(NamedTuple):
    """The state of one worker's process."""

    state: str
    """One of the five above."""
    restarts: Optional[int]
    """How often it was restarted; None if there is no supervisor that counts."""


def write(folder: Path, states: dict[str, ProcessState]) -> None:
    """Write the states. If the disk is full they are not written, and nothing is raised."""
    with suppress(OSError), replacing(folder / FILE) as part:
        part.write_text(yaml.safe_dump({worker: state._asdict() for worker, state in states.items()}), encoding="utf-8")


def read(folder: Path) -> dict[str, ProcessState]:
    """The states that were written last; empty if no supervisor runs."""
    try:
        tree = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
        return {str(worker): ProcessState(str(entry["state"]), int(entry["restarts"])) for worker, entry in tree.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return {}
