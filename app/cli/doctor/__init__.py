"""`poselift doctor`: what is here, what is missing, what to type.

A file per part of the machine; what is wrong is a finding, never an exception, and nothing waits for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from rich.markup import escape
from rich.table import Table

from poselift.app.cli.console import console
from poselift.app.cli.doctor import camera, cann, device, driver, networks, packages, runtime, service, viewers
from poselift.app.cli.doctor.finding import Finding
from poselift.app.config import Config, load
from poselift.common.errors import UserError
from poselift.workers.networks import detector


def doctor(config_path: Optional[Path]) -> None:
    """Print the findings; exit code 1 where something that this config needs is missing."""
    table = Table("", "what")
    for name in ("found", "what to do"):
        table.add_column(name, overflow="fold")  # paths and commands are whole
    missing = False
    for finding in look(load(config_path)):
        table.add_row(finding.mark, *map(escape, (finding.what, finding.found, finding.remedy)))
        missing |= finding.missing
    console.print(table)
    if missing:
        sys.exit(1)


def look(config: Config) -> Iterator[Finding]:
    """All findings, in the order in which a person would mend what is missing."""
    yield from packages.look()
    try:
        detector(config)
    except UserError as error:
        yield Finding("detector", str(error), False, "set detect.detector to null")
        config = config.changed(detect={"detector": None})
    on = networks.wanted(config)
    if on.npu or driver.nodes():
        answer = device.ask(config)
        needed = on.npu and not device.works(answer)  # where the NPU works, all below it does, whatever it looks like here
        yield from driver.look(needed)
        yield from cann.look(needed)
        yield from device.look(config, answer, on.npu)
    else:
        yield Finding("Ascend NPU", "none; the networks run on the CPU", False)
    yield from networks.look(config, on)
    yield from camera.look(config.capture.source)
    yield from runtime.look(config)
    yield from viewers.look(config)
    yield from service.look(config)
