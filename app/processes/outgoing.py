"""What goes out of a worker: its answers and its End, each with the frames that got no answer since the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import NUMBERED, End, Message, Numbered, Stamp


class Outgoing:
    """What those behind a worker are told. Knows no socket and no clock."""

    def __init__(self, worker: str, incarnation: int) -> None:
        self.frames = 0
        """Frames captured in all, as far as this worker knows."""
        self.notes: list[str] = []
        """Warnings for people."""
        self._worker, self._incarnation = worker, incarnation
        self._skipped: dict[str, int] = {}

    def pass_on(self, message: Message, lost: dict[str, int]) -> None:
        """What an input says that those behind are to hear, too; and which frames were `lost` before it."""
        self.skip(lost)
        self.skip(getattr(message, "skipped", {}))
        if isinstance(message, End):
            self.frames = max(self.frames, message.frames)
            self.notes += [message.note] if message.note and message.note not in self.notes else []
        elif isinstance(message, NUMBERED):
            self.frames = max(self.frames, message.frame + 1)

    def skip(self, counts: dict[str, int]) -> None:
        """These frames get no answer, by reason."""
        add(self._skipped, counts)

    def stamped(self, message: Numbered, after: Optional[Numbered], received_ns: int, now_ns: int) -> Numbered:
        """A message that is ready now, behind the stamps of the one that it answers, which was received at `received_ns`.

        Capture's answers none, and has a stamp that says since when there is its picture.
        """
        stamp = Stamp(self._worker, received_ns if after else message.trace[0].received_ns, now_ns)
        skipped, self._skipped = self._skipped, {}
        return replace(message, trace=(*(after.trace if after else ()), stamp), incarnation=self._incarnation, skipped=skipped)

    def end(self, broken: str) -> End:
        """The last message; `broken` is the worker that left without one, if any."""
        return End(self._worker, self.frames, "; ".join(self.notes), self._skipped, broken)
