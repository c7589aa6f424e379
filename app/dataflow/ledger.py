"""Accounts for every frame: what a stream's frame numbers leave out, and why."""

from __future__ import annotations

from poselift.app.dataflow.messages import Numbered

NEWER_FRAME = "newer_frame"
QUEUE_FULL = "queue_full"
WORKER_DIED = "worker_died"
NOT_READY = "not_ready"
OVERWRITTEN = "overwritten"
RING_GONE = "ring_gone"
CAMERA_DROPPED = "camera_dropped"
"""The camera's driver counted the picture, and had no room for it or did not get it whole."""
DAMAGED = "damaged"
"""The source has the picture, but not whole."""


class Ledger:
    """Watches one stream. Between two messages, the frames that the sender did not declare as skipped were lost on the way.

    `lost` is the reason where the sender stayed the same: a queue that was full, or a newer frame that was preferred. A sender that changed
    has died, and what it had in hand with it. `start` is the first frame expected (None: whatever comes first).
    """

    def __init__(self, lost: str, start: int | None = None) -> None:
        self._lost = lost
        self._next = start
        self._incarnation: int | None = None

    def missing(self, message: Numbered) -> dict[str, int]:
        """Frames that this message and the one before leave unexplained, by reason; empty where there are none."""
        declared = sum(message.skipped.values())
        count = 0 if self._next is None else message.frame - self._next - declared
        if self._incarnation is None:
            reason = NOT_READY
        elif self._incarnation != message.incarnation:
            reason = WORKER_DIED
        else:
            reason = self._lost
        self._next, self._incarnation = message.frame + 1, message.incarnation
        return {reason: count} if count > 0 else {}

    def tail(self, frames: int) -> int:
        """Frames after the last message, of `frames` captured in all, that nothing explains."""
        return max(0, frames - (self._next or 0))


def add(counts: dict[str, int], more: dict[str, int]) -> None:
    """Add the counts of `more` to `counts`, reason by reason."""
    for reason, count in more.items():
        counts[reason] = counts.get(reason, 0) + count
