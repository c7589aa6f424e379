"""What systemd has of poselift, where `poselift service install` has put it there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from app.cli.doctor.finding import Finding
from app.cli.service import Place
from app.cli.units import TARGET
from app.dataflow.streams import WORKERS

PATIENCE_S = 5.0
STOPPED = "inactive"


def look() -> Iterator[Finding]:
    """One finding for the system's services and one for the user's, where they are installed."""
    for place in (Place.of(user, dry_run=True) for user in (False, True)):
        if (place.folder / TARGET).is_file():
            yield _finding(place)


def _finding(place: Place) -> Finding:
    units = [TARGET, *(f"poselift@{worker}.service" for worker in WORKERS)]
    try:
        command = [*place.systemctl, "is-active", *units]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("service", f"{place.folder / TARGET}; systemd does not answer ({type(error).__name__})", False)
    states = dict(zip(units, done.stdout.split()))
    words = " ".join(place.systemctl)
    failed = [unit for unit, state in states.items() if state not in ("active", STOPPED)]
    if failed:
        found = ", ".join(f"{unit} is {states[unit]}" for unit in failed)
        return Finding("service", found, False, f"{words} status 'poselift*'; journalctl{' --user' * (not place.system)} -u 'poselift@*'")
    running = states.get(TARGET) == "active"
    found = f"{place.folder / TARGET}, {states.get(TARGET, 'of no known state')}"
    return Finding("service", found, True, "" if running else f"{words} start {TARGET} starts it")
