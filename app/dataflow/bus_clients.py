"""For processes that are no workers: the supervisor, commands and programs read the workers' messages and give orders."""

from __future__ import annotations

from pathlib import Path

import zmq

from poselift.app.dataflow.messages import Answer, Control, Message, decode, encode
from poselift.app.dataflow.sockets import address_of, several, stream_name, subscribe
from poselift.app.dataflow.streams import Link

ANSWER_S = 5.0
"""How long somebody who gave an order waits for the answer."""


class Subscriber:
    """Receives all messages of some streams, the oldest first.

    If it is polled too rarely, messages arrive old; when some 2000 wait, later ones are lost. `app/program` is for slow programs.
    Raises UserError if the folder's path is too long.
    """

    def __init__(self, folder: Path, links: tuple[Link, ...]) -> None:
        addresses = [(address_of(folder, stream_name(link.sender, link.message)), link.taker) for link in links]
        self._context = zmq.Context()
        self._sockets = [subscribe(self._context, address, b"", taker) for address, taker in addresses]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)

    def receive(self, timeout_s: float) -> list[Message]:
        """What has arrived, at most so many of each stream; empty after the timeout."""
        ready = dict(self._poller.poll(round(timeout_s * 1000)))
        return [message for socket in self._sockets if socket in ready for message in several(socket)]

    def close(self) -> None:
        """Disconnect."""
        for socket in self._sockets:
            socket.close(linger=0)
        self._context.term()


def order(folder: Path, worker: str, command: str, timeout_s: float = ANSWER_S) -> Answer | None:
    """Give a worker an order. Returns its answer; None if there is none in time."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(address_of(folder, f"{worker}.Control"))
        socket.send(encode(Control(command)))
        if not socket.poll(round(timeout_s * 1000)):
            return None
        answer = decode(socket.recv())
        return answer if isinstance(answer, Answer) else None


class OrderSender:
    """Gives orders without waiting for answers. An order to a worker that is not running reaches it when it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}

    def send(self, worker: str, command: str) -> None:
        """Give a worker an order."""
        if worker not in self._sockets:
            self._sockets[worker] = self._context.socket(zmq.DEALER)
            self._sockets[worker].connect(address_of(self._folder, f"{worker}.Control"))
        self._sockets[worker].send(encode(Control(command)), zmq.NOBLOCK)

    def answers(self) -> list[Answer]:
        """The answers since the last call."""
        arrived = [message for socket in self._sockets.values() for message in several(socket)]
        return [message for message in arrived if isinstance(message, Answer)]

    def close(self) -> None:
        """Disconnect; orders that no worker has read are dropped."""
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._context.term()
