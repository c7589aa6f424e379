"""The poses that came and that the program has not taken yet. No socket, no clock, no thread."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Optional

from poselift.app.dataflow.ledger import QUEUE_FULL, Ledger, add
from poselift.app.dataflow.messages import Pose3D

NEWER_POSE = "newer_pose"
"""A pose that the program was not given, because there was a newer one when it asked."""
MOST = 1000
"""So many poses are kept for a program that wants every one: 33 s at 30 fps, 2 MB a person."""


class Kept:
    """The newest pose alone, or every one up to MOST, each with the count of what was left out before it.

    What is left out is the oldest: NEWER_POSE where the newest is wanted, QUEUE_FULL where every one is. What was lost on the way here
    counts the same.
    """

    def __init__(self, every: bool) -> None:
        self._most, self._reason = (MOST, QUEUE_FULL) if every else (1, NEWER_POSE)
        self._poses: deque[Pose3D] = deque()
        self._ledger = Ledger(self._reason)
        self._last: Optional[Pose3D] = None

    @property
    def last(self) -> Optional[Pose3D]:
        """The pose that came last in this session; None before the first."""
        return self._last

    def begin_anew(self) -> None:
        """The next pose is the first of a session: none is missing before it."""
        self._ledger, self._last = Ledger(self._reason), None

    def put(self, pose: Pose3D) -> None:
        """A pose came."""
        self._poses.append(_with(pose, self._ledger.missing(pose)))
        self._last = pose
        if len(self._poses) > self._most:
            gone = self._poses.popleft()
            self._poses[0] = _with(_with(self._poses[0], gone.skipped), {self._reason: 1})

    def take(self) -> Optional[Pose3D]:
        """The next pose, None where there is none. Its `skipped` tells of all frames since the one taken before."""
        return self._poses.popleft() if self._poses else None


def _with(pose: Pose3D, more: dict[str, int]) -> Pose3D:
    if not more:
        return pose
    skipped = dict(pose.skipped)
    add(skipped, more)
    return replace(pose, skipped=skipped)
