"""The NPU itself, as pyACL shows it, and the networks that were converted for it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poselift.app.cli.doctor.finding import Finding, trouble
from poselift.app.cli.doctor.networks import om_files
from poselift.app.config import Config
from poselift.app.processes.command import COMMAND
from poselift.common.errors import ModelError
from poselift.models.backends.om_card import read_card
from poselift.models.backends.om_file import family
from poselift.models.lifting.lifter import require_people
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.workers.networks import LIFTER

PATIENCE_S = 60.0
"""A board needs some seconds to set its NPU up and load the networks."""


def ask(config: Config) -> dict[str, Any]:
    """What pyACL says of the config's device and networks."""
    return probe(config.npu.device, [path for path in om_files(config) if path.is_file()], PATIENCE_S)


def works(answer: dict[str, Any]) -> bool:
    """Whether there is an NPU, and it could be set up."""
    return answer.get("trouble") == "" and "soc" in answer


def look(config: Config, answer: dict[str, Any], wanted: bool) -> Iterator[Finding]:
    """The module `acl`, the device, then each network that the config takes from the NPU's folder."""
    if "died" in answer:
        remedy = "restart the board; if that does not help, install its driver and CANN again"
        yield Finding("NPU", answer["died"], False, remedy if wanted else "")
    elif not answer["module"]:
        remedy = "source CANN's set_env.sh, which puts it on PYTHONPATH; PyPI's package of that name is another thing"
        yield Finding("module acl", "not importable", False, remedy if wanted else "")
    elif answer["trouble"]:
        finding = trouble("NPU", answer["trouble"])
        yield finding if wanted else finding._replace(remedy="")
    else:
        where = "this program runs beside it" if answer["beside"] else "this program runs on its host"
        yield Finding("module acl", str(answer["module"]), True)
        chip = f"{answer['soc'] or 'a chip that CANN does not name'}, number {config.npu.device} of {answer['devices']}"
        yield Finding("NPU", f"{chip}; {where}", True, "" if wanted else "set npu.folder in a config to use it: docs/board.md")
    yield from (_network(path, answer, config.detect.people) for path in om_files(config))


def probe(number: int, files: list[Path], patience_s: float) -> dict[str, Any]:
    """What `acl_probe` answers; {"died": why} where it gives no answer. A probe that hangs in the driver is left behind."""
    command = [*COMMAND, "acl-probe", str(number), *map(str, files)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        printed = process.communicate(timeout=patience_s)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return {"died": f"pyACL gave no answer for {patience_s:g} s"}
    with contextlib.suppress(ValueError, IndexError):  # CANN's libraries print too, before our line
        answer = json.loads(printed.splitlines()[-1])
        if isinstance(answer, dict):
            return answer
    return {"died": f"pyACL ended the process that asked it, with exit code {process.returncode}"}


def _network(path: Path, answer: dict[str, Any], people: int) -> Finding:
    what = f"network {path.stem}"
    if not path.is_file():
        return Finding(what, f"{path} is missing", False, "on a PC: poselift models atc; then copy the whole folder that it wrote here")
    try:
        card = read_card(path)
        if card.name == LIFTER:
            require_people(card.inputs, LifterMetadata.read(card.metadata), people)
    except ModelError as error:
        return trouble(what, error)
    soc = answer.get("soc")
    if soc and family(soc) != family(card.soc):
        return Finding(what, f"{path} is for {card.soc}, this is {soc}", False, f"on a PC: poselift models atc --soc {soc}")
    why_not = answer.get("networks", {}).get(str(path))
    if why_not:
        return trouble(what, why_not)
    loads = "the NPU loads it" if why_not == "" else "not tried on an NPU"
    return Finding(what, f"{path}, for {card.soc}; {loads}", True)
