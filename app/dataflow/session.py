"""The session: one run of the pipeline on one boot of one machine. All its workers know it by the same identity.

Whoever needs it asks `join(config.runtime_path())` for it, as often as it likes. The first process to ask begins the session, and it lasts
as long as one that has joined it lives: a worker that was killed and comes back finds it again, while after a boot, or when everyone has
left, the next one begins another. Frame numbers and times are of one session: what belongs to different ones is never put in one row.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from poselift.common.atomic import naming

FILE = "session.yaml"
"""In the runtime folder. By this ending the supervisor knows what it may remove before and after a run."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MAX_BYTES = 4096


class Session(NamedTuple):
    """An identity: two are of one session where they are equal."""

    start_ns: int
    """Wall time at which it began, ns: a name rather than a time, for a board's clock may be wrong until it has found a network."""
    boot_id: str
    """The kernel's random name for this boot."""
    host: str
    """The machine's name, for people."""

    def facts(self) -> dict[str, str]:
        """As text, to stand beside other facts in a recording or a file."""
        return {f"session_{key}": str(value) for key, value in self._asdict().items()}

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Optional[Session]:
        """The session of such facts; None if they name none."""
        with suppress(KeyError, ValueError):
            return cls(int(facts["session_start_ns"]), facts["session_boot_id"], facts["session_host"])
        return None


def join(folder: Path, session: Optional[Session] = None) -> Session:
    """The session in this runtime folder, which is made where it is missing; this process belongs to it until it ends.

    `session` is the one that it belonged to in a folder that was removed: where nobody was faster, that one goes on.
    A shared lock on its file is what tells that somebody still does: who can have the file alone finds an earlier session's, or none.
    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o660)  # kept, and with it the lock
    while True:
        with suppress(BlockingIOError), naming(folder / FILE):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, session or Session(time.time_ns(), BOOT_ID.read_text().strip(), platform.node()))
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # another may have begun one between the two locks: what counts is what is there now
        found = _read(descriptor)
        if found:
            return found
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # who began it was killed before it was written


def known(folder: Path) -> Optional[Session]:
    """The session in this runtime folder, for who looks on and does not belong to it: that which runs, or the last; None without any."""
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, session: Session) -> None:
    text = yaml.safe_dump(session.facts()).encode()
    os.pwrite(descriptor, text, 0)
    os.truncate(descriptor, len(text))


def _read(descriptor: int) -> Optional[Session]:
    try:
        facts = yaml.safe_load(os.pread(descriptor, MAX_BYTES, 0))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    return Session.of(facts) if isinstance(facts, dict) else None
