"""The other side of the notify protocol: starts a worker as systemd does, and hears what it says."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from patience import PATIENCE_S


class Service:
    """One process with a NOTIFY_SOCKET of its own, and a watchdog where `watchdog_s` is not 0. A context manager.

    `before` is a command that becomes the process.
    """

    def __init__(self, folder: Path, *command: object, watchdog_s: float = 0.0, before: Sequence[object] = ()) -> None:
        address = folder / f"notify-{time.monotonic_ns()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self.watchdog_s = watchdog_s
        self.said: list[str] = []
        environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
        environment.update({"WATCHDOG_USEC": str(round(1e6 * watchdog_s))} if watchdog_s else {})
        self.process = subprocess.Popen(
            [*map(str, (*before, sys.executable, *command))], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._socket.close()

    def hear(self, timeout_s: float) -> bool:
        """Take the next datagram; whether one came in time."""
        self._socket.settimeout(timeout_s)
        try:
            self.said.append(self._socket.recv(65536).decode())
        except socket.timeout:
            return False
        return True

    def until(self, what: Callable[[list[str]], bool], why: str) -> None:
        """Hear on until `what` holds of all that was said."""
        end_s = time.monotonic() + PATIENCE_S
        while not what(self.said):
            assert time.monotonic() < end_s, f"waited too long for {why}; said: {self.said[-20:]}"
            self.hear(1.0)

    def until_said(self, *lines: str) -> None:
        """Hear on until a datagram begins with each of these."""
        self.until(lambda said: all(any(word.startswith(line) for word in said) for line in lines), " and ".join(lines))

    def until_fed(self, times: int) -> None:
        """Hear on until the watchdog was fed so many times more."""
        wanted = self.said.count("WATCHDOG=1") + times
        self.until(lambda said: said.count("WATCHDOG=1") >= wanted, f"the watchdog to be fed {times} times more")

    def until_expired(self) -> None:
        """Hear on until the watchdog expires, as systemd's does: not fed for its whole period."""
        end_s = time.monotonic() + PATIENCE_S
        fed_s = time.monotonic()
        while (now_s := time.monotonic()) - fed_s < self.watchdog_s:
            assert now_s < end_s, f"it is fed for ever: {self.said[-20:]}"
            if self.hear(self.watchdog_s) and self.said[-1] == "WATCHDOG=1":
                fed_s = time.monotonic()

    def left(self) -> int:
        """Wait until the process has ended; its exit code."""
        code = self.process.wait(PATIENCE_S)
        while self.hear(0.001):
            pass
        return code
