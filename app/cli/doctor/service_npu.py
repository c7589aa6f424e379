"""The NPU as a service sees it, which may be refused what this program is given: by its mount namespace, its device list, its user."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from poselift.app.cli.doctor import driver
from poselift.app.cli.doctor.finding import Finding
from poselift.app.cli.service import Place, group_id
from poselift.app.cli.units import TARGET

MOUNTS = (
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateIPC", "DynamicUser", "LogNamespace"),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset"),
    *("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths"),
    *("TemporaryFileSystem", "MountFlags", "MountImages", "ExtensionImages", "RootDirectory", "RootImage"),
)
"""Settings that give a service a mount namespace of its own (systemd.exec(5)), unless they have one of these values."""
NEUTRAL = ("", "no", "default", "all", "shared")


def look(unit: str, shown: str, place: Place, number: int, root: Path = driver.ROOT) -> Iterator[Finding]:
    """What keeps a service from the NPU of that number, if anything, by what `systemctl show` prints of it; without that, nothing."""
    lines = [line.partition("=")[::2] for line in shown.splitlines()]
    has = dict(lines)
    if "MainPID" not in has:
        return
    node = root / f"dev/davinci{number}"
    opened = [path for path in (node, *driver.beside(root)) if path.exists()]
    again = f"{'sudo ' * place.system}poselift service install once more, then {' '.join(place.systemctl)} restart {TARGET}"
    apart = next((f", by {name}={has[name]}" for name in MOUNTS if has.get(name, "") not in NEUTRAL), "")
    allowed = " ".join(value for name, value in lines if name == "DeviceAllow")
    shut = [str(path) for path in opened if place.system and not _may_open(path, has)]
    if apart or _runs_apart(has["MainPID"]):
        found = f"has a mount namespace of its own{apart}: the NPU's driver takes it for a container, and serves one"
        yield Finding(unit, found, False, f"{again}; systemctl cat {unit} shows what sets it")
    elif has.get("DevicePolicy", "auto") != "auto" and f"/dev/{node.name} " not in allowed:
        yield Finding(unit, f"may not open {node}: it was installed for a config that does not use the NPU", False, again)
    elif shut:
        found = f"no permission for {', '.join(shut)} as the user {has.get('User') or 'root'}"
        yield Finding(unit, found, False, f"{again}: it takes the groups video and HwHiAiUser, and ls -l {shut[0]} shows who may open it")
    else:
        yield Finding(unit, f"may open {node}, beside others", True)


def _runs_apart(pid: str) -> bool:
    """Whether a process has another mount namespace than process 1; False where it does not run, or only root may know."""
    with contextlib.suppress(OSError):
        return not Path(f"/proc/{pid}/ns/mnt").samefile("/proc/1/ns/mnt")
    return False


def _may_open(path: Path, has: dict[str, str]) -> bool:
    """Whether a service of this user and these groups may read and write a file."""
    try:
        account = pwd.getpwnam(has.get("User") or "root")
    except KeyError:
        return False
    names = [has.get("Group", ""), *has.get("SupplementaryGroups", "").split()]
    groups = {*os.getgrouplist(account.pw_name, account.pw_gid), *map(group_id, names)}
    status = path.stat()
    shift = 6 if status.st_uid == account.pw_uid else 3 if status.st_gid in groups else 0
    return account.pw_uid == 0 or (status.st_mode >> shift) & 6 == 6
