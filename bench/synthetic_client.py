"""Stands in for the client of a board: people who walk, their pictures and the workers' reports, at a real board's rates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import cv2

from bench.people import FOCAL_PX, HEIGHT_PX, LOOP_S, RATE_HZ, WIDTH_PX, health_of, jpeg_of, picture_of, pose_at
from poselift.app.dataflow.messages import Answer
from poselift.app.remote.client_protocol import ConnectionState
from poselift.app.remote.wire import Picture

SENT_WIDTH_PX = 800
"""What the viewer asks for where its window is 1280 px wide."""
AGE_NS = 21_000_000


class SyntheticClient:
    """Has what is due whenever it is asked. All of it repeats, also the pictures: to paint them is a board's work, not the viewer's."""

    focal_px = FOCAL_PX

    def __init__(self, people: int = 4, rate_hz: float = RATE_HZ) -> None:
        self._people, self._rate_hz = people, rate_hz
        frames = range(0, round(LOOP_S * rate_hz), 2)
        size = self._size = SENT_WIDTH_PX, round(SENT_WIDTH_PX * HEIGHT_PX / WIDTH_PX)
        self._pictures = [jpeg_of(cv2.resize(picture_of(pose_at(frame, people, 0, rate_hz)), size)) for frame in frames]
        self._began_ns, self._sent, self._recording = time.monotonic_ns(), 0, ""
        self._answers: list[Any] = []

    @property
    def state(self) -> ConnectionState:
        """Always connected."""
        return ConnectionState(True, 0.0, 0, 400_000, False, "")

    @property
    def missed(self) -> Mapping[str, int]:
        """Nothing."""
        return {}

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """The frames that are due."""
        now_ns = time.monotonic_ns()
        due = int((now_ns - self._began_ns) / 1e9 * self._rate_hz)
        found, self._answers = self._answers, []
        for frame in range(max(self._sent, due - 5), due):
            found += self.frame(frame, now_ns)
        self._sent = due
        return found

    def frame(self, frame: int, now_ns: int) -> list[Any]:
        """What is sent of one frame."""
        pose = pose_at(frame, self._people, now_ns - AGE_NS, self._rate_hz)
        found: list[Any] = [pose]
        if frame % 2 == 0:
            jpeg = self._pictures[frame // 2 % len(self._pictures)]
            found.append(Picture(frame, pose.t_ns, *self._size, len(jpeg), 0, jpeg, pose.trace))
        if frame % round(self._rate_hz) == 0:
            found += [
                health_of("detect", now_ns, drops={"newer_frame": frame // 300}),
                health_of("record", now_ns, recording=self._recording),
            ]
        return found

    def request_pictures(self, width_px: int, quality: int, rate_hz: float) -> None:
        """Its pictures are as they are."""

    def order(self, command: str) -> None:
        """Begin or end a recording that is not there."""
        self._recording = "session.mcap" if command == "record start" else ""
        self._answers = [Answer(True, f"done: {command}"), health_of("record", time.monotonic_ns(), recording=self._recording)]

    def age_ns(self, message: Any) -> Optional[int]:
        """Since it was made, and what a pipeline would have taken."""
        return time.monotonic_ns() - int(message.trace[0].received_ns)

    def close(self) -> None:
        """Nothing to do."""
