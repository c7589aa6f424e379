"""`poselift service`: the workers as services of systemd, installed and removed."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import poselift
from poselift.app.cli.console import say
from poselift.app.cli.units import EVERY, RUNTIME_FOLDER, SERVICE, STATE_FOLDER, TARGET, unit_files, within
from poselift.app.config import Config, load
from poselift.app.dataflow.streams import RECORDER
from poselift.common.atomic import naming
from poselift.common.errors import UserError
from poselift.models.weights import read_manifest
from poselift.workers.networks import networks

ACCOUNT = "poselift"
MADE_BY = "made by poselift service install"
"""Comment of the account, by which uninstalling knows that it was not there before."""
DEVICE_GROUPS = ("video", "HwHiAiUser")
"""Who may open cameras and, as CANN's driver package sets it up, the NPU."""
DRIVER_LIBRARIES, OF_THE_200_DK = Path("/usr/lib64"), "libmedia_mini.so"
"""Where an Atlas 200 DK's driver has its libraries, and one by which they are known. Not run on hardware."""
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
"""What ProtectHome= and PrivateTmp= keep from a service of the system."""


class Place(NamedTuple):
    """Where services are installed."""

    system: bool
    folder: Path
    systemctl: tuple[str, ...]
    run: Path
    """There while this systemd runs."""
    dry_run: bool

    @classmethod
    def of(cls, user: bool, dry_run: bool) -> Place:
        """The user's, or the system's."""
        if not user:
            return cls(True, Path("/etc/systemd/system"), ("systemctl",), Path("/run/systemd/system"), dry_run)
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
        return cls(False, folder, ("systemctl", "--user"), runtime / "systemd", dry_run)

    def ready(self) -> None:
        """Raises UserError where nothing can be changed here."""
        if self.dry_run:
            return
        if self.system and os.geteuid() != 0:
            raise UserError("services of the system are root's: sudo, or --user for services of your own (--dry-run shows all)")
        if not shutil.which("systemctl") or not self.run.exists():
            whose = "systemd does not run this machine" if self.system else "systemd runs no services for this user"
            raise UserError(f"{whose} (no {self.run}): nothing can be installed; start the workers with 'poselift up'")

    def write(self, name: str, text: str) -> None:
        """Make or replace one of our files."""
        path = self.folder / name
        if self.dry_run:
            print(f"# write {path}\n{text}")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path):
            path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

    def remove(self, name: str) -> None:
        """Remove one of our files where it is, and its folder where nothing else lies in it."""
        path = self.folder / name
        if not path.exists():
            return
        if self.dry_run:
            print(f"# remove {path}")
            return
        path.unlink()
        if path.parent != self.folder and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def call(self, *command: str, optional: bool = False) -> None:
        """Run a command. Raises UserError where it fails and is not `optional`."""
        if self.dry_run:
            print(f"# run {shlex.join(command)}")
            return
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode and not optional:
            why = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise UserError(f"{shlex.join(command)}: {why[-1]}")


def install(user: bool, dry_run: bool, config_path: Optional[Path]) -> None:
    """Write the unit files and have systemd read them; starts nothing. Raises UserError."""
    place = Place.of(user, dry_run)
    place.ready()
    config_path = config_path.absolute() if config_path else None
    config = load(config_path)
    _check_config(config, config_path, place.system)
    script = Path(sys.executable).with_name("poselift")
    if not script.exists():
        raise UserError(
            f"{script}: the poselift command is not beside its Python; install poselift with pip into an environment of its own"
        )
    if place.system:
        if not _account():
            command = ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(STATE_FOLDER))
            place.call(*command, "--shell", "/usr/sbin/nologin", "--comment", MADE_BY, ACCOUNT)
        _check_access(config, config_path, script)
    groups = [name for name in DEVICE_GROUPS if group_id(name) is not None]
    cann = cann_environment(os.environ)
    if config.npu.folder and not cann:
        say("warning: npu.folder is set, but CANN's set_env.sh was not sourced here: the services will not find the module acl")
    files = unit_files(config, config_path, script, system=place.system, groups=groups, cann=cann)
    for name in EVERY:
        place.write(name, files[name]) if name in files else place.remove(name)
    place.call(*place.systemctl, "daemon-reload")
    if not dry_run:
        _say_next(place, config_path)


def uninstall(user: bool, dry_run: bool) -> None:
    """Stop the services and remove what `install` made; recordings stay. Raises UserError."""
    place = Place.of(user, dry_run)
    place.ready()
    if not (place.folder / SERVICE).exists():
        raise UserError(f"poselift is not installed as a service here (no {place.folder / SERVICE})")
    place.call(*place.systemctl, "disable", "--now", TARGET)
    place.call(*place.systemctl, "stop", "poselift@*.service")
    for name in EVERY:
        place.remove(name)
    place.call(*place.systemctl, "daemon-reload")
    place.call(*place.systemctl, "reset-failed", "poselift@*.service", optional=True)
    if place.system:
        place.call("rm", "-rf", str(RUNTIME_FOLDER))
        account = _account()
        if account and account.pw_gecos == MADE_BY:
            place.call("userdel", ACCOUNT)
        if STATE_FOLDER.exists():
            say(f"{STATE_FOLDER} stays, with the recordings in it")


def cann_environment(environment: Mapping[str, str], driver: Path = DRIVER_LIBRARIES) -> dict[str, str]:
    """What CANN's set_env.sh has set; nothing where it was not sourced, which its ASCEND_* variables tell.

    `driver`: the folder of an Atlas 200 DK's driver, which set_env.sh leaves out.
    """
    ours = {name: value for name, value in environment.items() if name.startswith("ASCEND_")}
    paths = {name: environment[name] for name in ("LD_LIBRARY_PATH", "PYTHONPATH") if environment.get(name)}
    libraries = paths.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    if (driver / OF_THE_200_DK).exists() and str(driver) not in libraries:
        paths["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (*libraries, str(driver))))
    return {**ours, **paths} if ours else {}


def _check_config(config: Config, path: Optional[Path], system: bool) -> None:
    """Raises UserError where services cannot run with this config. A service starts in no folder that its user would know of."""
    where = path or "the default config"
    if not config.live:
        raise UserError(f"{where}: mode is file; services run live: set mode to live, or use 'poselift lift'")
    if not config.running:
        raise UserError(f"{where}: {config.nothing_runs()}")
    for key, value in _paths(config).items():
        if value and not Path(value).is_absolute():
            raise UserError(f"{where}: {key}: {value} is relative, and a service has no folder of its own; write {Path(value).absolute()}")
    if not system:
        return
    if path is None:
        raise UserError(
            f"--config FILE is needed: services of the system need settings of their own, with runtime_folder: {RUNTIME_FOLDER}"
        )
    if config.runtime_folder != str(RUNTIME_FOLDER):
        found = config.runtime_folder or "null"
        raise UserError(f"{path}: runtime_folder is {found}; services of the system have theirs in {RUNTIME_FOLDER}: set it to that")
    fetched = [it for it in networks(config) if it.worker in config.running and not it.file and read_manifest()[it.name].kind != "shipped"]
    if fetched and not config.models_folder:
        raise UserError(
            f"{path}: models_folder is null; set it to a folder that {ACCOUNT} can read, then: poselift models pull --config {path}"
        )


def _paths(config: Config) -> dict[str, Optional[str]]:
    """Every setting that names a file or folder."""
    source = config.capture.source
    return {
        "runtime_folder": config.runtime_folder,
        "models_folder": config.models_folder,
        "npu.folder": config.npu.folder,
        "capture.source": None if source.isdigit() or ":" in source else source,
        "detect.model": config.detect.model,
        "lift.model": config.lift.model,
        "record.folder": config.record.folder,
    }


def _check_access(config: Config, path: Optional[Path], script: Path) -> None:
    """Raises UserError for what the services' user cannot see or write."""
    paths = _paths(config)
    read = [path, script, Path(sys.executable).resolve(), Path(poselift.__file__).resolve()]
    read += [Path(value) for key, value in paths.items() if value and key in ("models_folder", "npu.folder", "detect.model", "lift.model")]
    for item in filter(None, read):
        _check_open(item, stat.S_IROTH)
    folder = Path(config.record.folder) if config.record.folder and RECORDER in config.running else None
    if folder and not within(folder, STATE_FOLDER):
        _check_open(folder, stat.S_IWOTH)


def _check_open(path: Path, wanted: int) -> None:
    """Raises UserError where the services' user may not do `wanted` (S_IROTH, S_IWOTH) with a path."""
    hidden = next((folder for folder in HIDDEN if within(path, folder)), None)
    if hidden:
        raise UserError(f"{path}: services of the system do not see {hidden}; put it elsewhere, such as in /opt or {STATE_FOLDER}")
    for part in (*reversed(path.parents), path):
        if not part.exists():
            raise UserError(f"{part}: does not exist; make it before the services are installed")
        need = wanted if part == path else stat.S_IXOTH
        if not _may(part, need):
            word = {stat.S_IROTH: "read", stat.S_IWOTH: "write in", stat.S_IXOTH: "enter"}[need]
            raise UserError(f"{part}: the services' user, {ACCOUNT}, may not {word} it; change its owner, group or mode")


def _may(path: Path, need: int) -> bool:
    """Whether the services' user may do `need` (a bit of S_IRWXO); where there is no such user yet, whether everybody may."""
    status, account = path.stat(), _account()
    if account and status.st_uid == account.pw_uid:
        need <<= 6
    elif account and status.st_gid == account.pw_gid:
        need <<= 3
    return bool(status.st_mode & need)


def _account() -> Optional[pwd.struct_passwd]:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None


def group_id(name: str) -> Optional[int]:
    """The number of a group; None where there is none of that name."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _say_next(place: Place, config_path: Optional[Path]) -> None:
    systemctl, option = " ".join(place.systemctl), f" --config {config_path}" if config_path else ""
    say(f"installed in {place.folder}; now type:")
    say(f"  {systemctl} enable --now {TARGET}      # run, now and at every boot{'' if place.system else ' (loginctl enable-linger)'}")
    say(f"  {systemctl} status 'poselift@*'   # how the workers are; or: poselift status{option}")
    say(f"  journalctl {'' if place.system else '--user '}-fu 'poselift@*'  # what they say")
    say(f"  {systemctl} stop {TARGET}; after a change of the config: {systemctl} restart {TARGET}")
    if place.system:
        say(f"Who is in the group {ACCOUNT} may use poselift status, poselift stop and poselift.connect: usermod -aG {ACCOUNT} NAME")
