"""The bus within one process: for tests, and for programs that run the workers' classes by themselves.

Queues have no end and nobody waits, so workers can run one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from poselift.app.dataflow.bus import Order
from poselift.app.dataflow.messages import Answer, Control, End, Health, Message, decode, encode, instead_of
from poselift.app.dataflow.streams import Link, Take


class MemoryHub:
    """What connects the workers of one process. Every message passes through bytes, as between processes."""

    def __init__(self, links: tuple[Link, ...]) -> None:
        self.links = links
        self.queues: dict[Link, deque[bytes]] = {link: deque() for link in links}
        self.controls: dict[str, deque[Control]] = {}
        self.answers: list[Answer] = []

    def bus(self, worker: str) -> MemoryBus:
        """One worker's end."""
        return MemoryBus(self, worker)

    def taken(self, taker: str, kind: type[Message]) -> list[Message]:
        """What waits for a taker, taken away; for those that are no worker."""
        return [
            decode(queue.popleft())
            for link, queue in self.queues.items()
            if link.taker == taker and link.message is kind
            for _ in range(len(queue))
        ]


class MemoryBus:
    """A worker's end of its streams in memory; everybody is always there."""

    def __init__(self, hub: MemoryHub, worker: str) -> None:
        self._hub, self.worker, self.links = hub, worker, hub.links
        self._ended = False
        self._control = hub.controls.setdefault(worker, deque())

    def listen(self) -> None:
        """Nothing to connect."""

    def receive(self, timeout_s: float) -> list[Message]:
        """What has come; never waits, as nobody else runs meanwhile."""
        messages: list[Message] = []
        for link, queue in self._hub.queues.items():
            if link.taker != self.worker:
                continue
            waiting = [decode(queue.popleft()) for _ in range(len(queue) if link.take is Take.NEWEST else min(1, len(queue)))]
            going_on = [message for message in waiting if not isinstance(message, End)]
            messages += [instead_of(going_on[:-1], going_on[-1])] if going_on else []
            messages += [message for message in waiting if isinstance(message, End)]
        return messages

    def rest(self, rest_s: float, until: tuple[type[Message], ...]) -> None:
        """Nobody else runs meanwhile."""

    def room(self, message: Message, timeout_s: float) -> bool:
        """There always is."""
        return True

    def send(self, message: Message) -> tuple[str, ...]:
        """Put the message into every taker's queue."""
        self._ended = self._ended or isinstance(message, End)
        for link, queue in self._hub.queues.items():
            ends = isinstance(message, End) and link.message is not Health
            if link.sender == self.worker and (ends or isinstance(message, link.message)):
                queue.append(encode(message))
        return ()

    def takers(self) -> frozenset[str]:
        """Everybody who takes something from this worker; nobody after its End, as queues outlive it."""
        return frozenset() if self._ended else frozenset(link.taker for link in self.links if link.sender == self.worker)

    def orders(self) -> list[Order]:
        """The orders that have come."""
        return [Order(self._control.popleft(), None) for _ in range(len(self._control))]

    def answer(self, order: Order, answer: Answer) -> None:
        """Keep the answer for who looks."""
        self._hub.answers.append(answer)

    def mend(self) -> bool:
        """Memory is not removed."""
        return False

    def wake_for(self, sockets: Sequence[Any]) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to deliver."""
