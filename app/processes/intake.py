"""What comes in to a worker: which of its inputs have ended, and what was lost on the way to it."""

from __future__ import annotations

from poselift.app.dataflow.ledger import NEWER_FRAME, QUEUE_FULL, Ledger
from poselift.app.dataflow.messages import NUMBERED, End, Health, Message
from poselift.app.dataflow.streams import Link, Take


class Intake:
    """Takes note of a worker's messages, in the order in which they are dealt with. Knows no socket and no clock."""

    def __init__(self, worker: str, links: tuple[Link, ...]) -> None:
        self.open = {link.sender for link in links if link.taker == worker and link.message is not Health}
        """The workers that have not said their End yet."""
        self._broken = ""
        takes = {link.message: link.take for link in links if link.taker == worker}
        self._ledgers = {kind: Ledger(NEWER_FRAME if take is Take.NEWEST else QUEUE_FULL) for kind, take in takes.items()}

    @property
    def broken(self) -> str:
        """Once no more comes: the worker that left without an End, here or further before; empty where all was in order."""
        return self._broken or min(self.open, default="")

    def take(self, message: Message) -> dict[str, int]:
        """The frames that are missing between this message and the one before of its stream, by reason."""
        if isinstance(message, End):
            self.open.discard(message.sender)
            self._broken = self._broken or message.broken
        return self._ledgers[type(message)].missing(message) if isinstance(message, NUMBERED) else {}
