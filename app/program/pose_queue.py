"""The poses that have arrived and that the program has not taken yet. No socket, no clock, no thread."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Optional

from poselift.app.dataflow.ledger import QUEUE_FULL, Ledger, add
from poselift.app.dataflow.messages import Pose3D

NEWER_POSE = "newer_pose"
"""A pose that the program did not get, because there was a newer one when it asked."""
MAX_POSES = 1000
"""So many poses wait for a program that wants every one: 33 s at 30 fps, 2 MB a person."""


class PoseQueue:
    """Holds the newest pose only, or every pose up to MAX_POSES. Each carries the count of what was lost since the one before it.

    When it is full it drops the oldest: as NEWER_POSE if only the newest is wanted, as QUEUE_FULL if every one is. Poses that were lost on
    the way here are counted in the same way.
    """

    def __init__(self, every: bool) -> None:
        self._most, self._reason = (MAX_POSES, QUEUE_FULL) if every else (1, NEWER_POSE)
        self._poses: deque[Pose3D] = deque()
        self._ledger = Ledger(self._reason)
        self._last: Optional[Pose3D] = None

    @property
    def last(self) -> Optional[Pose3D]:
        """The pose of this session that arrived last; None before the first."""
        return self._last

    def reset(self) -> None:
        """The next pose is the first of another session: nothing is missing before it."""
        self._ledger, self._last = Ledger(self._reason), None

    def put(self, pose: Pose3D) -> None:
        """A pose has arrived."""
        self._poses.append(_with(pose, self._ledger.missing(pose)))
        self._last = pose
        if len(self._poses) > self._most:
            dropped = self._poses.popleft()
            self._poses[0] = _with(_with(self._poses[0], dropped.skipped), {self._reason: 1})

    def take(self) -> Optional[Pose3D]:
        """The next pose; None if there is none. Its `skipped` counts all frames since the one that was taken before."""
        return self._poses.popleft() if self._poses else None


def _with(pose: Pose3D, more: dict[str, int]) -> Pose3D:
    if not more:
        return pose
    skipped = dict(pose.skipped)
    add(skipped, more)
    return replace(pose, skipped=skipped)
