"""What systemd has of poselift, where `poselift service install` has put it there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from poselift.app.cli.doctor import service_npu
from poselift.app.cli.doctor.finding import Finding
from poselift.app.cli.service import Place
from poselift.app.cli.units import TARGET, opens_npu
from poselift.app.config import Config
from poselift.app.dataflow.streams import WORKERS

PATIENCE_S = 5.0
STOPPED = "inactive"


def look(config: Config) -> Iterator[Finding]:
    """The state of the system's services and of the user's, where they are installed; then how the NPU looks to those that open it."""
    for place in (Place.of(user, dry_run=True) for user in (False, True)):
        if not (place.folder / TARGET).is_file():
            continue
        try:
            yield _state(place)
            for worker in (worker for worker in config.running if opens_npu(config, worker)):
                unit = f"poselift@{worker}.service"
                yield from service_npu.look(unit, _ask(place, "show", unit), place, config.npu.device)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Finding("service", f"{place.folder / TARGET}; systemd does not answer ({type(error).__name__})", False)


def _state(place: Place) -> Finding:
    units = [TARGET, *(f"poselift@{worker}.service" for worker in WORKERS)]
    states = dict(zip(units, _ask(place, "is-active", *units).split()))
    words = " ".join(place.systemctl)
    failed = [unit for unit, state in states.items() if state not in ("active", STOPPED)]
    if failed:
        found = ", ".join(f"{unit} is {states[unit]}" for unit in failed)
        return Finding("service", found, False, f"{words} status 'poselift*'; journalctl{' --user' * (not place.system)} -u 'poselift@*'")
    running = states.get(TARGET) == "active"
    found = f"{place.folder / TARGET}, {states.get(TARGET, 'of no known state')}"
    return Finding("service", found, True, "" if running else f"{words} start {TARGET} starts it")


def _ask(place: Place, *words: str) -> str:
    """What systemctl prints. Raises OSError, TimeoutExpired."""
    command = [*place.systemctl, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL).stdout
