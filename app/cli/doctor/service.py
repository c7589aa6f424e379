"""What systemd has of poselift, where `poselift service` has put it there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from app.cli.doctor.finding import Finding

TARGET = "poselift.target"
PLACES = ((Path("/etc/systemd/system"), ()), (Path("~/.config/systemd/user"), ("--user",)))
"""The units' folder, and what systemctl is told for it."""
PATIENCE_S = 5.0


def look(places: tuple[tuple[Path, tuple[str, ...]], ...] = PLACES) -> Iterator[Finding]:
    """One finding per installed target, none where there is none."""
    for folder, words in places:
        if (folder.expanduser() / TARGET).is_file():
            state = _state(words)
            command = " ".join(("systemctl", *words, "status", "'poselift*'"))
            yield Finding("service", f"{folder / TARGET}: {state}", state == "active", "" if state in ("active", "inactive") else command)


def _state(words: tuple[str, ...]) -> str:
    """`active`, `inactive`, `failed`..., as `systemctl is-active` says it."""
    try:
        done = subprocess.run(["systemctl", *words, "is-active", TARGET], capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"systemd does not answer ({type(error).__name__})"
    return done.stdout.strip() or done.stderr.strip()
