"""The unit files of a pipeline's services: the templates in `systemd/`, filled in. Pure: what they say follows from the arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Optional

import poselift.app
from poselift.app.config import Config
from poselift.app.dataflow.messages import Health
from poselift.app.dataflow.streams import RECORDER, SOURCE, WORKERS, links
from poselift.workers.networks import networks
from poselift.workers.sources import kind_of

TEMPLATES = Path(poselift.app.__file__).parent / "units"
"""The repository's folder `systemd/`, as a package's data."""
SERVICE, TARGET = "poselift@.service", "poselift.target"
SYSTEM, CANN = f"{SERVICE}.d/system.conf", f"{SERVICE}.d/cann.conf"
MOUNTS = "mounts.conf"
LIGHT = 10
"""Share of the cores of who only takes, of 100: what niceness does between the processes of one service, this does between services."""
RUNTIME_FOLDER, STATE_FOLDER = Path("/run/poselift"), Path("/var/lib/poselift")
"""What RuntimeDirectory= and StateDirectory= in system.conf make."""
NPU_DEVICES = (
    *("davinci_manager", "dvpp_cmdlist", "devmm_svm", "hisi_hdc"),
    *("svm0", "ts_aisle", "upgrade", "sys", "vdec", "vpc", "pngd", "venc", "log_drv"),
    *("event_sched", "hi_dvpp", "memory_bandwidth"),
    *("xsmem_dev", "user_config", "spi_smbus"),
)
"""What a process needs beside /dev/davinciN, of cards and, in the second line, the Atlas 200I DK A2; systemd leaves out what is not there.
From MindCluster's manual, "Ascend Docker Runtime", on what it mounts by default. The third line is of the Atlas 200 DK, from a guide to
containers on it; that its other devices are among the above is not established. The fourth is of lists for other boards that have an
Ascend 310B."""


def instance(worker: str) -> str:
    """The file of what is particular to one worker."""
    return f"poselift@{worker}.service.d/poselift.conf"


def mounts(worker: str) -> str:
    """The file of what gives one worker a mount namespace of its own."""
    return f"poselift@{worker}.service.d/{MOUNTS}"


EVERY = (SERVICE, TARGET, SYSTEM, CANN, *map(instance, WORKERS), *map(mounts, WORKERS))
"""All files that an installation may have, below the folder of units."""


def unit_files(
    config: Config, config_path: Optional[Path], script: Path, *, system: bool, groups: Iterable[str], cann: Mapping[str, str]
) -> dict[str, str]:
    """The files for this config, name -> text.

    `script` is the poselift command; `system` whether the services are the system's, and no user's; `groups` those that own cameras and the
    NPU; `cann` the variables that CANN needs.
    """
    command = [_argument(script), "run", "%i", *(["--config", _argument(config_path)] if config_path else [])]
    files = {
        SERVICE: _filled(
            SERVICE,
            COMMAND=" ".join(command),
            START=_span(config.supervisor.start_timeout_s),
            SILENT=_span(config.supervisor.silent_timeout_s),
        ),
        TARGET: _filled(
            TARGET,
            WORKERS=" ".join(f"poselift@{worker}.service" for worker in config.running),
            BOOT="multi-user.target" if system else "default.target",
        ),
    }
    for worker in config.running:
        if lines := _particular(config, worker, system):
            files[instance(worker)] = "\n".join((f"# What is particular to the worker {worker}.", *lines, ""))
    if system:
        files[SYSTEM] = _filled("system.conf", GROUPS=" ".join(groups))
        files.update({mounts(worker): _filled(MOUNTS) for worker in WORKERS if not opens_npu(config, worker)})
    if cann:
        variables = (f"Environment={quoted(f'{name}={value}')}" for name, value in sorted(cann.items()))
        files[CANN] = "\n".join(("# CANN's set_env.sh, as it was where `poselift service install` ran.", "[Service]", *variables, ""))
    return files


def opens_npu(config: Config, worker: str) -> bool:
    """Whether a worker opens the NPU under this config: its networks are .om files, or its camera is the board's own."""
    kind = kind_of(config.capture.source)
    return (worker == SOURCE and kind is not None and kind.npu) or any(it.npu for it in networks(config) if it.worker == worker)


def within(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it."""
    return folder in (path, *path.parents)


def quoted(word: str) -> str:
    """A word of a unit file, whatever is in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if not word or set(word) & set(" \t\"'\\;") else escaped


def _filled(template: str, **values: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for name, value in values.items():
        assert f"@{name}@" in text
        text = text.replace(f"@{name}@", value)
    return text


def _span(seconds: float) -> str:
    """A time as a unit file has it, for every number."""
    return f"{round(1000 * seconds)}ms"


def _argument(path: Path) -> str:
    return quoted(str(path)).replace("$", "$$")


def _particular(config: Config, worker: str, system: bool) -> list[str]:
    """Those behind a worker start before it and, as systemd stops in the order turned round, leave after it: nothing is lost."""
    takers = dict.fromkeys(
        link.taker for link in links(config.mode, config.running) if link.sender == worker and link.message is not Health
    )
    unit = [f"After=poselift@{taker}.service" for taker in takers if taker in WORKERS]
    service = [f"CPUWeight={LIGHT}"] if not WORKERS[worker].sends else []
    if system and opens_npu(config, worker):
        service += [f"DeviceAllow=/dev/{name} rw" for name in (f"davinci{config.npu.device}", *NPU_DEVICES)]
    folder = Path(config.record.folder or STATE_FOLDER)
    if system and worker == RECORDER and not within(folder, STATE_FOLDER):
        service.append(f"ReadWritePaths={quoted(str(folder))}")
    return [*(["[Unit]", *unit] if unit else []), *(["[Service]", *service] if service else [])]
