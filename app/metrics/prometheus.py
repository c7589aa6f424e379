"""How the pipeline is, in Prometheus' words: names, units and kinds by its conventions. Needs prometheus-client (poselift[metrics])."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Callable, Optional

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from poselift.app.dataflow.ledger import QUEUE_FULL, Ledger
from poselift.app.dataflow.messages import Health, Message, Pose2D, Pose3D, Stamp
from poselift.app.dataflow.streams import RECORDER, SERVER

AGE_BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
WORK_BUCKETS_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """Gathers what the workers say into `registry`, which another thread may read meanwhile.

    It counts from the first message that it sees. What a worker counts by itself (outputs, drops) begins with that worker's own start, so
    nothing is missed when the one who gathers is started late, or again.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._now_s = now_s
        self._last: dict[str, Health] = {}
        self._ledger = Ledger(QUEUE_FULL)
        registry = self.registry = CollectorRegistry()
        self._outputs = Counter(
            "poselift_outputs", "Messages that a worker sent; the recorder's: that it wrote.", ["worker"], registry=registry
        )
        self._drops = Counter(
            "poselift_drops", "What came to a worker, or from it, and did not go on.", ["worker", "reason"], registry=registry
        )
        self._restarts = Counter("poselift_restarts", "Times that a worker died and came back.", ["worker"], registry=registry)
        self._lifted = Counter("poselift_frames_lifted", "Frames that got their 3D poses.", registry=registry)
        self._dropped = Counter("poselift_frames_dropped", "Frames that got none, by reason.", ["reason"], registry=registry)
        self._age = Histogram(
            "poselift_age_seconds",
            "Age of a picture when a stage was done with it, since it was taken (a file's: since it was due).",
            ["stage"],
            buckets=AGE_BUCKETS_S,
            registry=registry,
        )
        self._work = Histogram(
            "poselift_work_seconds",
            "Time from when a stage had its input in hand (capture: since the picture was taken) until its output was ready.",
            ["stage"],
            buckets=WORK_BUCKETS_S,
            registry=registry,
        )
        self._network = Gauge(
            "poselift_network_seconds",
            "What a worker's networks took for one output, of the last 300 outputs.",
            ["worker", "device", "quantile"],
            registry=registry,
        )
        self._memory = Gauge("poselift_memory_bytes", "Resident memory that is a worker's own (not shared).", ["worker"], registry=registry)
        self._heard = Gauge(
            "poselift_last_report_timestamp_seconds", "When a worker last said how it is, Unix time.", ["worker"], registry=registry
        )
        self._recording = Gauge("poselift_recording", "1 while a recording is being written, else 0.", registry=registry)
        self._people = Gauge("poselift_people", "People who are followed in the newest picture.", registry=registry)
        self._left_out = Gauge("poselift_people_left_out", "People seen lately beyond those who are followed.", registry=registry)
        self._ids = Counter("poselift_ids", "Ids that were given to people.", registry=registry)
        self._last_id: Optional[int] = None
        self._viewers = Gauge("poselift_viewers", "Viewers elsewhere that are connected.", registry=registry)

    def add(self, message: Message) -> None:
        """Take note of what a worker says."""
        if isinstance(message, Health):
            self._add_health(message)
        elif isinstance(message, Pose2D):
            self._add_trace(message.trace, message.trace)
            self._add_people(message)
        elif isinstance(message, Pose3D):
            self._add_trace(message.trace, message.trace[-1:])
            self._lifted.inc()
            for counts in (self._ledger.missing(message), message.skipped):
                for reason, count in counts.items():
                    self._dropped.labels(reason).inc(count)

    def _add_people(self, pose: Pose2D) -> None:
        """Ids count on, one by one: those that lie between two pictures were given, too."""
        self._people.set(len(pose.person))
        self._left_out.set(pose.left_out)
        if len(pose.person):
            newest = int(pose.person.max())
            given = len(pose.person) if self._last_id is None else max(newest - self._last_id, 0)
            self._ids.inc(given)
            self._last_id = max(newest, self._last_id or 0)

    def _add_trace(self, trace: tuple[Stamp, ...], stages: Iterable[Stamp]) -> None:
        for stamp in stages:
            self._age.labels(stamp.stage).observe((stamp.done_ns - trace[0].received_ns) / 1e9)
            self._work.labels(stamp.stage).observe((stamp.done_ns - stamp.received_ns) / 1e9)

    def _add_health(self, health: Health) -> None:
        worker, last = health.worker, self._last.get(health.worker)
        again = last is not None and last.incarnation != health.incarnation
        self._restarts.labels(worker).inc(again)
        before = last if last and not again else None
        self._outputs.labels(worker).inc(health.messages - (before.messages if before else 0))
        for reason, count in health.drops.items():
            self._drops.labels(worker, reason).inc(count - (before.drops.get(reason, 0) if before else 0))
        self._memory.labels(worker).set(health.memory_bytes)
        self._heard.labels(worker).set(self._now_s())
        for quantile, took_ms in (("0.5", health.network_p50_ms), ("0.95", health.network_p95_ms)):
            if not math.isnan(took_ms):
                self._network.labels(worker, health.device, quantile).set(took_ms / 1e3)
        if worker == RECORDER:
            self._recording.set(bool(health.recording))
        if worker == SERVER:
            self._viewers.set(health.viewers)
        self._last[worker] = health
