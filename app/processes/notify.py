"""What a worker tells the service manager that started it: ready, alive, how it is, leaving.

The manager is systemd, the protocol lines of text in one datagram each (its manual pages sd_notify(3) and sd_watchdog_enabled(3)). Nothing
happens where NOTIFY_SOCKET is not set, and nothing under the supervisor of `poselift up`, which hears the same from the bus.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Optional

from poselift.app.dataflow.messages import Health
from poselift.app.processes.process import SUPERVISOR

FEED_EVERY_NS = 1_000_000_000
"""The watchdog is fed this often, or four times in its period where that is shorter."""


class Watchdog:
    """When the service manager's watchdog may be fed: while what was accepted is answered. Knows no clock: times are passed in, ns.

    A worker that hangs does not ask at all. One that goes on turning, takes messages and answers none for half the watchdog's period, is
    not fed any more either.
    """

    def __init__(self, period_ns: int) -> None:
        """`period_ns`: how long the service manager waits for food; 0 where it has no watchdog for us, which is never fed."""
        self._period_ns = period_ns
        self._fed_ns = -period_ns
        self._unanswered_ns: Optional[int] = None

    def accepted(self, now_ns: int) -> None:
        """A message was taken that needs an answer."""
        if self._unanswered_ns is None:
            self._unanswered_ns = now_ns

    def answered(self) -> None:
        """An answer was made, or the message left out and counted."""
        self._unanswered_ns = None

    def feed(self, now_ns: int) -> bool:
        """Whether to feed it now."""
        hungry = self._period_ns and now_ns - self._fed_ns >= min(self._period_ns // 4, FEED_EVERY_NS)
        if not hungry or (self._unanswered_ns is not None and now_ns - self._unanswered_ns >= self._period_ns // 2):
            return False
        self._fed_ns = now_ns
        return True


class ServiceManager:
    """The way to whoever started this process as a service; without one, everything here does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = "" if SUPERVISOR in environment else environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = Watchdog(1000 * int(environment.get("WATCHDOG_USEC", "0")) if address and mine else 0)

    @property
    def here(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    def tell(self, **lines: str) -> None:
        """Send these assignments in one datagram, such as READY="1"."""
        if not self._address:
            return
        data = "\n".join(f"{name}={' '.join(value.split())}" for name, value in lines.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end, suppress(OSError):  # who does not listen must not stop the worker
            end.sendto(data.encode(), socket.MSG_DONTWAIT, self._address)

    def feed(self, now_ns: int) -> None:
        """Say that the worker lives, where it is time and the watchdog may be fed."""
        if self.watchdog.feed(now_ns):
            self.tell(WATCHDOG="1")


def status_line(health: Health) -> str:
    """How a worker is, for `systemctl status`."""
    age = "" if math.isnan(health.age_p50_ms) else f", age {health.age_p50_ms:.1f} ms (p95 {health.age_p95_ms:.1f})"
    drops = ", ".join(f"{number} {reason}" for reason, number in sorted(health.drops.items()))
    recording = health.recording and f"recording {health.recording}"
    left_out = f"people not followed: {health.left_out}" if health.left_out else ""
    said = (f"{health.state}, {health.rate_hz:.1f} /s{age}", drops and f"dropped {drops}", recording, left_out, health.note)
    return "; ".join(filter(None, said))
