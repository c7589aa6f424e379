"""What became of every captured frame, and how old its pose was: kept by whoever watches a run to its end."""

from __future__ import annotations

from collections import deque

from poselift.app.dataflow.health import percentiles_ms
from poselift.app.dataflow.ledger import QUEUE_FULL, WORKER_DIED, Ledger, add
from poselift.app.dataflow.messages import End, Health, Message, Pose3D
from poselift.app.dataflow.streams import RECORDER, sender_of

KEPT = 36_000
"""Ages are kept of the last 20 minutes at 30 frames a second."""
_LAST = sender_of(Pose3D)
"""Whose End tells of the frames after the last pose."""


class Tally:
    """Counts poses and the frames without one, by reason; gathers ages."""

    def __init__(self) -> None:
        self.lifted = 0
        self.seen = 0
        """Poses of somebody who was seen in that frame, not held."""
        self.people: set[int] = set()
        """The ids of all who were seen."""
        self.most_people = 0
        """So many were seen in one frame at most."""
        self.left_out = 0
        """So many more were there at most than are followed."""
        self.captured = 0
        self.dropped: dict[str, int] = {}
        self.ages_ns: deque[int] = deque(maxlen=KEPT)
        self.recordings: dict[str, str] = {}
        """Names of the recordings that were made, and what the recorder said when it ended one; empty where it went on to the end."""
        self.recorder_says = ""
        """The recorder's last note."""
        self._recording = ""
        self.notes: list[str] = []
        """Warnings that came with the streams' ends."""
        self._ledger = Ledger(QUEUE_FULL, start=0)
        self._skipped_at_end = 0

    def add(self, message: Message) -> None:
        """Take note of a message; Pose3D, End and which recording is on matter."""
        if isinstance(message, Pose3D):
            self._add_pose(message)
        elif isinstance(message, End):
            self.captured = max(self.captured, message.frames)
            if message.sender == _LAST:
                add(self.dropped, message.skipped)
                self._skipped_at_end += sum(message.skipped.values())
            self.notes += [message.note] if message.note and message.note not in self.notes else []
        elif isinstance(message, Health) and message.worker == RECORDER:
            if message.recording:
                self.recordings[message.recording] = ""
            elif self._recording:
                self.recordings[self._recording] = message.note
            self._recording, self.recorder_says = message.recording, message.note

    def finish(self) -> None:
        """No more comes: frames after the last pose that nobody skipped went down with a worker."""
        tail = self._ledger.tail(self.captured) - self._skipped_at_end
        add(self.dropped, {WORKER_DIED: tail} if tail > 0 else {})

    def _add_pose(self, pose: Pose3D) -> None:
        self.lifted += 1
        seen = pose.person[~pose.held].tolist()
        self.seen += bool(seen)
        self.people.update(seen)
        self.most_people = max(self.most_people, len(seen))
        self.left_out = max(self.left_out, pose.left_out)
        self.captured = max(self.captured, pose.frame + 1)
        add(self.dropped, self._ledger.missing(pose))
        add(self.dropped, pose.skipped)
        self.ages_ns.append(pose.trace[-1].done_ns - pose.trace[0].received_ns)

    def lines(self) -> list[str]:
        """What was measured, for people."""
        drops = ", ".join(f"{count} {reason}" for reason, count in sorted(self.dropped.items())) or "none"
        unexplained = self.captured - self.lifted - sum(self.dropped.values())
        lines = [
            f"{self.captured} frames captured, {self.lifted} lifted, {self.seen} with somebody seen; dropped: {drops}"
            + (f"; {unexplained} not accounted for" if unexplained else "")
        ]
        if self.ages_ns:
            p50_ms, p95_ms = percentiles_ms(self.ages_ns)
            lines.append(f"age of a 3D pose when it is sent: {p50_ms:.1f} ms (median), {p95_ms:.1f} ms (95th percentile)")
        if self.people:
            more = f"; not followed: up to {self.left_out} more at a time (detect.people)" if self.left_out else ""
            lines.append(f"people seen: {len(self.people)}, at most {self.most_people} in one frame{more}")
        return lines
