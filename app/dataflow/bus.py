"""What a worker sees of the dataflow: its end of all its streams. `zmq_bus.py` is that of a process, `memory_bus.py` that of a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from poselift.app.dataflow.messages import Answer, Control, Message
from poselift.app.dataflow.streams import Link


class Order(NamedTuple):
    """What a worker is told to do, and the way back for its answer."""

    control: Control
    way_back: Any


class Bus(Protocol):
    """One worker's end of all its streams. It calls nobody back."""

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

    def room(self, message: Message, timeout_s: float) -> bool:
        """Whether to send a message now: whether those it must not be lost for have room, for which this waits, or have died.

        From a file these are all who take every message; live it is an End alone that waits, for those who are there.
        """

    def send(self, message: Message) -> tuple[str, ...]:
        """Send at once to all takers of this type; returns those that had no room."""

    def takers(self) -> frozenset[str]:
        """The workers that listen to this one. Who has taken its End does no longer: before that it must not leave.

        For libzmq throws away what a sender that left had sent, as soon as the taker's queue is full.
        """

    def orders(self) -> list[Order]:
        """The orders that have come, each of which waits for its answer."""

    def answer(self, order: Order, answer: Answer) -> None:
        """Answer an order."""

    def wake_for(self, sockets: Sequence[Any]) -> None:
        """Have `receive` return at once, too, when something waits in one of these ZeroMQ sockets, which are the worker's own."""

    def mend(self) -> bool:
        """Put right what was removed under the running worker, so that others find it again; whether anything was."""

    def close(self) -> None:
        """Deliver what waits, within a limit, and disconnect."""
