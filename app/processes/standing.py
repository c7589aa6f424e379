"""How each worker's process stands, as its supervisor knows it: a small file in the runtime folder, for whoever asks from outside."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from poselift.common.atomic import replacing

FILE = "standing.yaml"
"""By this ending the supervisor knows what it may remove before and after a run."""
STARTING, RUNNING, SILENT, DEAD, LEFT = "starting", "running", "silent", "dead", "left"
"""It has said nothing yet; it says how it is; it has not for a while; it will be started again; its work is done."""


class Standing(NamedTuple):
    """One worker's process."""

    state: str
    """One of the five."""
    restarts: Optional[int]
    """How often it was started again; None where nobody counts."""


def write(folder: Path, standings: dict[str, Standing]) -> None:
    """Tell how every worker stands. Without room on the disk nobody is told."""
    with suppress(OSError), replacing(folder / FILE) as part:
        part.write_text(yaml.safe_dump({worker: standing._asdict() for worker, standing in standings.items()}), encoding="utf-8")


def read(folder: Path) -> dict[str, Standing]:
    """What was told last; nothing where no supervisor runs."""
    try:
        tree = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
        return {str(worker): Standing(str(told["state"]), int(told["restarts"])) for worker, told in tree.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return {}
