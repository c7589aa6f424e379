"""CANN, Huawei's software for the NPU: where it is, which version, and whether this shell knows it.

Not run on hardware. The places are those of "CANN Software Installation", section "File Paths", of versions 5.0 to 8.5: `set_env.sh` sets
ASCEND_TOOLKIT_HOME, newer ones ASCEND_HOME_PATH; `ascend_*_install.info` holds `version=`. A runtime without the toolkit is named nnrt.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from poselift.app.cli.doctor.finding import Finding

VARIABLES = ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH")
FOLDERS = (Path("/usr/local/Ascend"), Path("~/Ascend"))
"""Root's, and any other user's."""
INFOS = (
    "ascend-toolkit/latest/*-linux/ascend_toolkit_install.info",
    "nnrt/latest/*-linux/ascend_nnrt_install.info",
    "cann/*-linux/ascend_toolkit_install.info",
    "nnae/latest/ascend_nnae_install.info",
)


def look(wanted: bool, folders: tuple[Path, ...] = FOLDERS) -> Iterator[Finding]:
    """One finding. `wanted`: whether the config puts networks on the NPU."""
    home = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")
    info = _info(folders)
    version = _version(info) if info else ""
    if home:
        there = Path(home).is_dir()
        remedy = (
            ""
            if there
            else f"there is no such folder; source the set_env.sh of the CANN that is here ({_script(info) or 'none was found'})"
        )
        yield Finding("CANN", f"{home}{version}", there, remedy if wanted else "")
    elif info:
        yield Finding("CANN", f"{info.parent}{version}, not set up in this shell", False, f"source {_script(info)}" if wanted else "")
    else:
        remedy = "install CANN (toolkit or nnrt) for this board, then source its set_env.sh: docs/board.md"
        yield Finding("CANN", f"not in {' or '.join(map(str, folders))}", False, remedy if wanted else "")


def _info(folders: tuple[Path, ...]) -> Optional[Path]:
    """The first file that tells of an installation."""
    return next((path for folder in folders for info in INFOS for path in sorted(folder.expanduser().glob(info))), None)


def _script(info: Optional[Path]) -> str:
    """The set_env.sh of an installation: beside `latest`, a few folders above its info file."""
    above = info.parents if info else ()
    return next((str(folder / "set_env.sh") for folder in above if (folder / "set_env.sh").is_file()), str(info.parent) if info else "")


def _version(info: Path) -> str:
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((f", version {line.partition('=')[2].strip()}" for line in lines if line.startswith("version=")), "")
