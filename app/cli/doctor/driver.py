"""The NPU's driver: its device nodes, who may open them, its version.

Not run on hardware. The nodes' names are those that Huawei's device plugin for containers hands out (Ascend/ascend-device-plugin): each
board has `davinci_manager` and `davinci0`; the 200 DK and the 200I DK A2 have `svm0` too, cards in a PC `devmm_svm` and `hisi_hdc`. The
group HwHiAiUser and the first place of the driver's version are in the CANN software installation guide; that the 200 DK has the second,
and the A2 `npu-smi` in `/usr/local/sbin`, is from users' reports.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from poselift.app.cli.doctor.finding import Finding

ROOT = Path("/")
BESIDE = ("davinci_manager", "svm0", "devmm_svm", "hisi_hdc")
"""What a program opens beside the NPU's own node."""
VERSION_INFOS = ("usr/local/Ascend/driver/version.info", "var/davinci/driver/version.info")
TOOL_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "sbin")
"""Where `npu-smi` may be; the first is often on root's PATH alone."""


def nodes(root: Path = ROOT) -> list[Path]:
    """One per NPU."""
    return sorted((root / "dev").glob("davinci[0-9]*"))


def beside(root: Path = ROOT) -> list[Path]:
    """The other nodes that a program opens, as far as they are there."""
    return [root / "dev" / name for name in BESIDE if (root / "dev" / name).exists()]


def look(wanted: bool, root: Path = ROOT) -> Iterator[Finding]:
    """Nodes and version. `wanted`: whether the config puts networks on the NPU."""
    found = nodes(root)
    if not found:
        remedy = "use this config on a board whose driver is installed (npu-smi info shows it), or leave npu.folder empty"
        yield Finding("NPU driver", f"no {root / 'dev/davinci0'}", False, remedy if wanted else "")
        return
    others = beside(root)
    if root / "dev/davinci_manager" not in others:
        yield Finding("NPU driver", f"no {root / 'dev/davinci_manager'}", False, "install the board's driver again" if wanted else "")
    shut = [node for node in (*found, *others) if not os.access(node, os.R_OK | os.W_OK)]
    if shut:
        remedy = f"sudo usermod -aG {_group(shut[0])} {os.environ.get('USER', '$USER')}, and log in again"
        yield Finding("NPU driver", f"no permission for {', '.join(map(str, shut))}", False, remedy if wanted else "")
    else:
        yield Finding("NPU driver", f"{', '.join(map(str, found))}{_version(root)}", True)
    tool = shutil.which("npu-smi")
    hidden = shutil.which("npu-smi", path=os.pathsep.join(str(root / folder) for folder in TOOL_FOLDERS))
    found_tool = tool or (f"{hidden}, whose folder is not on PATH" if hidden else "not found; it shows the NPU's memory and temperature")
    yield Finding("npu-smi", found_tool, bool(tool or hidden))


def _group(node: Path) -> str:
    """Whose members may open the node; HwHiAiUser is the driver's unless it was installed for another."""
    try:
        group = node.group()
    except (KeyError, OSError):
        return "HwHiAiUser"
    return group if group != "root" else "HwHiAiUser"


def _version(root: Path) -> str:
    """`, version 23.0.0`, or nothing where the driver does not tell."""
    path = next((root / info for info in VERSION_INFOS if (root / info).is_file()), root)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((f", version {line.partition('=')[2].strip()}" for line in lines if line.lower().startswith("version=")), "")
