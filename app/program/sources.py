"""Where a program's poses come from: the pipeline on this machine, or a board elsewhere. Both tell the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from poselift.app.dataflow.messages import Health, Pose3D
from poselift.app.dataflow.outside import Watch
from poselift.app.dataflow.session import Session, known
from poselift.app.dataflow.streams import WATCH, links, sender_of
from poselift.app.processes.process import running, supervised
from poselift.app.remote.client import Remote
from poselift.common.errors import UserError

GONE_S = 10.0
"""A pipeline that is away for so long does not come back by itself: a worker that died is started again within a few seconds."""
LIFTER = sender_of(Pose3D)
LIFTER_GONE_S = 40.0
"""A board's lifter that says nothing for so long is not there: one that hangs is killed and started again in less (silent_timeout_s)."""


class Source(Protocol):
    """A pipeline."""

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has come: Pose3D, End, and others. Empty after the time-out. Raises UserError where we are not let in."""

    def session(self) -> Optional[Session]:
        """The session that its poses are of now; None where nobody tells."""

    def gone(self) -> str:
        """What has become of the pipeline where it is gone without an End, one line for people; empty where it is there, or soon again."""

    def close(self) -> None:
        """Disconnect."""


class Here:
    """The pipeline on this machine, by its runtime folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watch = Watch(folder, tuple(link for link in links("live", (LIFTER,)) if link.taker == WATCH and link.message is Pose3D))
        self._here_s = time.monotonic()

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has come."""
        messages = self._watch.receive(timeout_s)
        if messages:
            self._here_s = time.monotonic()
        return messages

    def session(self) -> Optional[Session]:
        """As its runtime folder says."""
        return known(self._folder)

    def gone(self) -> str:
        """Killed, crashed, or stopped as a service."""
        now_s = time.monotonic()
        if now_s - self._here_s > 1.0 and lifts(self._folder):
            self._here_s = now_s
        if now_s - self._here_s <= GONE_S:
            return ""
        return f"the pipeline here (runtime folder {self._folder}) is gone and has not said that it ends: it was killed, or has crashed"

    def close(self) -> None:
        """Disconnect."""
        self._watch.close()


class Board:
    """A board that serves."""

    def __init__(self, remote: Remote, host: str) -> None:
        self._remote, self._host = remote, host
        self._lifter_s = time.monotonic()

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has come. Raises UserError where the board refuses us."""
        messages = self._remote.receive(timeout_s)
        if any(isinstance(it, Pose3D) or (isinstance(it, Health) and it.worker == LIFTER) for it in messages):
            self._lifter_s = time.monotonic()
        link = self._remote.link
        if link.refused:
            raise UserError(link.why)
        return messages

    def session(self) -> Optional[Session]:
        """As its Welcome said."""
        return self._remote.welcome.pipeline if self._remote.welcome else None

    def gone(self) -> str:
        """Away, or without a lifter."""
        link = self._remote.link
        if not link.connected:
            return f"{self._host}: nothing heard for {link.silent_s:.0f} s" if link.silent_s > GONE_S else ""
        silent_s = time.monotonic() - self._lifter_s
        return f"{self._host} serves, but its lifter has said nothing for {silent_s:.0f} s" if silent_s > LIFTER_GONE_S else ""

    def close(self) -> None:
        """Disconnect."""
        self._remote.close()


def lifts(folder: Path) -> bool:
    """Whether a lifter runs here, or a supervisor that starts one."""
    if running(folder, LIFTER):
        return True
    run = supervised(folder)
    return run is not None and LIFTER in run.running
