"""Where a program's poses come from: the pipeline on this machine, or one on a board."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from poselift.app.dataflow.bus_clients import Subscriber
from poselift.app.dataflow.messages import Health, Pose3D
from poselift.app.dataflow.session import Session, known
from poselift.app.dataflow.streams import WATCH, links, sender_of
from poselift.app.processes.process import running, supervised
from poselift.app.remote.client import Client
from poselift.common.errors import UserError

GONE_S = 10.0
"""A pipeline that is away for so long does not come back by itself: a worker that died is restarted within a few seconds."""
LIFTER = sender_of(Pose3D)
LIFTER_GONE_S = 40.0
"""After so long without a message from it, a board's lifter is gone: one that hangs is restarted earlier (silent_timeout_s)."""


class Pipeline(Protocol):
    """A pipeline whose poses are read."""

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has arrived: Pose3D, End, and others. Empty after the timeout. Raises UserError if we are refused."""

    def session(self) -> Optional[Session]:
        """The session to which its poses belong now; None if unknown."""

    def outage(self) -> str:
        """Why the pipeline is gone, without an End, for longer than a restart takes; one line for the user, empty if it is not."""

    def close(self) -> None:
        """Disconnect."""


class LocalPipeline:
    """The pipeline on this machine, by its runtime folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watch = Subscriber(folder, tuple(link for link in links("live", (LIFTER,)) if link.taker == WATCH and link.message is Pose3D))
        self._seen_s = time.monotonic()

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has arrived."""
        messages = self._watch.receive(timeout_s)
        if messages:
            self._seen_s = time.monotonic()
        return messages

    def session(self) -> Optional[Session]:
        """That of its runtime folder."""
        return known(self._folder)

    def outage(self) -> str:
        """It was killed, has crashed, or was stopped as a service."""
        now_s = time.monotonic()
        if now_s - self._seen_s > 1.0 and has_lifter(self._folder):
            self._seen_s = now_s
        if now_s - self._seen_s <= GONE_S:
            return ""
        return f"the pipeline here (runtime folder {self._folder}) is gone and has not said that it ends: it was killed, or has crashed"

    def close(self) -> None:
        """Disconnect."""
        self._watch.close()


class RemotePipeline:
    """The pipeline on a board that serves."""

    def __init__(self, client: Client, host: str) -> None:
        self._client, self._host = client, host
        self._lifter_seen_s = time.monotonic()

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has arrived. Raises UserError if the board refuses us."""
        messages = self._client.receive(timeout_s)
        if any(isinstance(it, Pose3D) or (isinstance(it, Health) and it.worker == LIFTER) for it in messages):
            self._lifter_seen_s = time.monotonic()
        state = self._client.state
        if state.refused:
            raise UserError(state.why)
        return messages

    def session(self) -> Optional[Session]:
        """That of its Welcome."""
        return self._client.welcome.pipeline if self._client.welcome else None

    def outage(self) -> str:
        """It does not answer, or has no lifter."""
        state = self._client.state
        if not state.connected:
            return f"{self._host}: nothing heard for {state.silent_s:.0f} s" if state.silent_s > GONE_S else ""
        silent_s = time.monotonic() - self._lifter_seen_s
        return f"{self._host} serves, but its lifter has said nothing for {silent_s:.0f} s" if silent_s > LIFTER_GONE_S else ""

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def has_lifter(folder: Path) -> bool:
    """Whether a lifter runs on this machine, or a supervisor that starts one."""
    if running(folder, LIFTER):
        return True
    run = supervised(folder)
    return run is not None and LIFTER in run.running
