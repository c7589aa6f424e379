"""How a worker is: its rate, the age of its data, what it dropped and why, its memory."""

from __future__ import annotations

import os
from collections import deque

import numpy as np
import psutil

from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Health

PERIOD_NS = 1_000_000_000
"""Every worker says once a second how it is."""
AGES_KEPT = 300


class Meter:
    """Counts what a worker does. Knows no clock: every time is passed in, ns of the machine's monotonic clock."""

    def __init__(self, worker: str, incarnation: int, now_ns: int) -> None:
        self._worker = worker
        self._incarnation = incarnation
        self._process = psutil.Process()
        self._ages_ns: deque[int] = deque(maxlen=AGES_KEPT)
        self._networks_ns: deque[int] = deque(maxlen=AGES_KEPT)
        self._network_ns = 0
        self._messages = 0
        self._since_ns, self._messages_then = now_ns, 0
        self.drops: dict[str, int] = {}
        self.note = ""
        self.recording = ""
        """Name of the recording that is being written."""
        self.viewers = 0
        """Viewers elsewhere that are connected."""
        self.people = self.left_out = 0
        """People in the last picture, and how many more were seen lately than are followed."""
        self.device = ""
        """Where the networks run."""
        self._reported_recording = ""

    def begin(self) -> None:
        """A new input is in hand: what networks did until now was not for it."""
        self._network_ns = 0

    def network(self, took_ns: int) -> None:
        """A network has run for the input in hand."""
        self._network_ns += took_ns

    def done(self, age_ns: int) -> None:
        """One more output, of data this old."""
        self._messages += 1
        self._ages_ns.append(age_ns)
        if self._network_ns:
            self._networks_ns.append(self._network_ns)

    def drop(self, counts: dict[str, int]) -> None:
        """Something did not go on, by reason."""
        add(self.drops, counts)

    def due(self, now_ns: int) -> bool:
        """Whether it is time to say how the worker is: it is at once where a recording has begun or ended."""
        return now_ns - self._since_ns >= PERIOD_NS or self._reported_recording != self.recording

    def report(self, state: str, now_ns: int) -> Health:
        """How the worker is; its rate is taken since the report before."""
        seconds = max(now_ns - self._since_ns, 1) / 1e9
        count = self._messages - self._messages_then
        self._since_ns, self._messages_then, self._reported_recording = now_ns, self._messages, self.recording
        memory = self._process.memory_info()
        p50_ms, p95_ms = percentiles_ms(self._ages_ns)
        network_p50_ms, network_p95_ms = percentiles_ms(self._networks_ns)
        return Health(
            worker=self._worker,
            pid=os.getpid(),
            incarnation=self._incarnation,
            monotonic_ns=now_ns,
            state="waiting" if state == "running" and count == 0 else state,
            note=self.note,
            messages=self._messages,
            rate_hz=count / seconds,
            age_p50_ms=p50_ms,
            age_p95_ms=p95_ms,
            drops=dict(self.drops),
            memory_bytes=memory.rss - memory.shared,
            recording=self.recording,
            network_p50_ms=network_p50_ms,
            network_p95_ms=network_p95_ms,
            device=self.device,
            viewers=self.viewers,
            people=self.people,
            left_out=self.left_out,
        )


def percentiles_ms(ages_ns: deque[int] | list[int]) -> tuple[float, float]:
    """Median and 95th percentile in ms; NaN where there is nothing."""
    if not ages_ns:
        return float("nan"), float("nan")
    p50, p95 = np.percentile(np.fromiter(ages_ns, np.int64), (50, 95)) / 1e6
    return float(p50), float(p95)
