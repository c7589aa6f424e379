"""One worker's process: its lock, its log, its end with the supervisor."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Optional

import psutil

from poselift.app.config import Config, load
from poselift.app.dataflow.session import join
from poselift.app.dataflow.streams import links
from poselift.app.dataflow.zmq_bus import ZmqBus
from poselift.common.atomic import naming
from poselift.common.errors import UserError

SUPERVISOR = "POSELIFT_SUPERVISOR"
"""Environment variable: process id of the supervisor, without which a worker does not go on."""
SUPERVISOR_LOCK = "up"
RUNS_WITH = "config.yaml"
"""In the runtime folder, the config of the supervisor's run."""
OWN_GROUP: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
"""For `subprocess.Popen`: a group of processes that a terminal's Ctrl-C does not reach. Not a session of its own: Linux shares its cores
among sessions first (sched_autogroup_enabled), and niceness counts only within one."""
NICENESS = 10
LOCK_PATIENCE_S = 0.2
"""Whoever only asks whether a lock is held has it for a moment."""
PR_SET_PDEATHSIG = 1

_RUNS = count()

log = logging.getLogger("process")


class FolderLost(Exception):
    """The runtime folder was removed while somebody ran in it, and cannot be had again."""


def connect(config: Config, worker: str) -> ZmqBus:
    """The worker's end of the bus in the config's runtime folder, which is made where it is missing, and again where it is removed."""
    session = join(make_folder(config))

    def restore() -> None:
        log.info("the runtime folder %s was removed; making it again", config.runtime_path())
        try:
            lock(make_folder(config), worker)
            join(config.runtime_path(), session)
        except UserError as error:
            raise FolderLost(f"the runtime folder was removed: {error}") from None

    return ZmqBus(config.runtime_path(), worker, links(config.mode, config.running), config.bus.queue, not config.live, restore)


def make_folder(config: Config) -> Path:
    """The runtime folder, readable by its owner only."""
    folder = config.runtime_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: this runtime_folder cannot be made ({error.strerror}); set another in the config") from None
    if folder.stat().st_uid != os.getuid():
        raise UserError(f"{folder}: this runtime_folder belongs to another user; set another in the config")
    return folder


@contextmanager
def run_folder(config: Config) -> Iterator[Path]:
    """A runtime folder of its own for one run of this process, inside the config's; those of processes that were killed are removed."""
    base = make_folder(config)
    for path in base.glob("run-*"):
        number = path.name.split("-")[1]
        if number.isascii() and number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(path, ignore_errors=True)
    try:
        yield base / f"run-{os.getpid()}-{next(_RUNS)}"
    finally:
        with suppress(OSError):  # another run may be in it
            base.rmdir()


def lock(folder: Path, name: str, patience_s: float = LOCK_PATIENCE_S) -> int:
    """Hold a lock until this process ends, however it ends; returns its file descriptor.

    libzmq takes another's socket over without a word, so two of a kind must be told apart beforehand. Raises UserError where one runs, and
    still does after `patience_s`.
    """
    path = folder / f"{name}.lock"
    until_s = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)  # a service's group may look whether it runs
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 20, 0).decode() or "?"
            os.close(descriptor)
            if time.monotonic() < until_s:
                time.sleep(0.01)
                continue
            what = "poselift" if name == SUPERVISOR_LOCK else f"the worker {name}"
            raise UserError(
                f"{what} is already running here (process {pid}, folder {folder}); stop it, or set another runtime_folder"
            ) from None
        if held(folder, name, descriptor):  # else the holder before removed the file meanwhile
            with naming(path):
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return descriptor
        os.close(descriptor)


def held(folder: Path, name: str, descriptor: int) -> bool:
    """Whether the lock that a process has taken is still the one that others find."""
    try:
        return os.path.samestat(os.fstat(descriptor), (folder / f"{name}.lock").stat())
    except OSError:
        return False


def running(folder: Path, name: str) -> bool:
    """Whether somebody holds the lock `name`."""
    try:
        descriptor = os.open(folder / f"{name}.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def supervised(folder: Path) -> Optional[Config]:
    """The settings of the run that a supervisor drives in this folder; None where there is none."""
    with suppress(UserError):  # one that begins has not written them yet, one that ends has removed them
        return load(folder / RUNS_WITH) if running(folder, SUPERVISOR_LOCK) else None
    return None


def end_with_supervisor() -> None:
    """Have the kernel send SIGTERM to this process when its supervisor dies, however it dies. Linux only, as is everything here."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):  # it died before the line above
        sys.exit(1)


def stand_back() -> None:
    """Have this process, and the threads that it starts from now on, compute when who computes poses does not."""
    os.nice(NICENESS)


def log_to_stderr(worker: str) -> None:
    """Log lines for people, on stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {worker}: %(message)s", datefmt="%H:%M:%S")
