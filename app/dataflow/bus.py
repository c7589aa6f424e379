"""What a worker sees of the dataflow: its end of all its streams. `zmq_bus.py` is that of a process, `memory_bus.py` that of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from poselift.app.dataflow.messages import Answer, Control, Message
from poselift.app.dataflow.streams import Link


class Bus(Protocol):
    """One worker's end of all its streams."""

    worker: str
    links: tuple[Link, ...]

    def listen(self) -> None:
        """Connect to the senders: from now on messages come."""

    def receive(self, timeout_s: float) -> list[Message]:
        """What has come, in the way this worker takes each stream; empty after the time-out."""

    def rest(self, rest_s: float, until: tuple[type[Message], ...]) -> None:
        """Leave alone what comes, for a time, or until a message is there, and those in a hurry have it.

        Of which type: the first of these that this worker takes.
        """

    def send(self, message: Message, give_up: Callable[[], bool]) -> tuple[str, ...]:
        """Send to all takers of this type; returns those that had no room.

        In file mode, and with an End, waits for room, until `give_up()` or until the taker has died.
        """

    def takers(self) -> frozenset[str]:
        """The workers that listen to this one. Who has taken its End does no longer: before that it must not leave.

        For libzmq throws away what a sender that left had sent, as soon as the taker's queue is full.
        """

    def orders(self, answer: Callable[[Control], Answer]) -> None:
        """Answer the orders that have come."""

    def wake_for(self, sockets: Sequence[Any]) -> None:
        """Have `receive` return at once, too, when something waits in one of these ZeroMQ sockets, which are the worker's own."""

    def mend(self) -> bool:
        """Put right what was removed under the running worker, so that others find it again; whether anything was."""

    def close(self) -> None:
        """Deliver what waits, within a limit, and disconnect."""
