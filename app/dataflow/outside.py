"""Who is no worker, and looks on or gives orders from a process of its own: the supervisor, the commands, a program that reads poses."""

from __future__ import annotations

from pathlib import Path

import zmq

from poselift.app.dataflow.messages import Answer, Control, Message, decode, encode
from poselift.app.dataflow.sockets import address_of, several, stream_name, subscribe
from poselift.app.dataflow.streams import Link


class Watch:
    """Looks on from outside the workers: all messages of some types, as they come, the oldest first.

    Who asks too seldom gets old ones, and when some 2000 wait, what follows is lost: a program that may be slow has `app/program` instead.
    Raises UserError where the folder is too long a path.
    """

    def __init__(self, folder: Path, links: tuple[Link, ...]) -> None:
        addresses = [(address_of(folder, stream_name(link.sender, link.message)), link.taker) for link in links]
        self._context = zmq.Context()
        self._sockets = [subscribe(self._context, address, b"", taker) for address, taker in addresses]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)

    def receive(self, timeout_s: float) -> list[Message]:
        """What has come, up to a limit a stream; empty after the time-out."""
        ready = dict(self._poller.poll(round(timeout_s * 1000)))
        return [message for socket in self._sockets if socket in ready for message in several(socket)]

    def close(self) -> None:
        """Disconnect."""
        for socket in self._sockets:
            socket.close(linger=0)
        self._context.term()


def order(folder: Path, worker: str, command: str, timeout_s: float) -> Answer | None:
    """Give a worker an order; its answer, or None where it does not answer in time."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(address_of(folder, f"{worker}.Control"))
        socket.send(encode(Control(command)))
        if not socket.poll(round(timeout_s * 1000)):
            return None
        answer = decode(socket.recv())
        return answer if isinstance(answer, Answer) else None


class Orders:
    """Gives orders without waiting for an answer; one that finds nobody there is heard by the worker that starts next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}

    def give(self, worker: str, command: str) -> None:
        """Order a worker to do something."""
        if worker not in self._sockets:
            self._sockets[worker] = self._context.socket(zmq.DEALER)
            self._sockets[worker].connect(address_of(self._folder, f"{worker}.Control"))
        self._sockets[worker].send(encode(Control(command)), zmq.NOBLOCK)

    def answers(self) -> list[Answer]:
        """What the workers have answered since the last call."""
        come = [message for socket in self._sockets.values() for message in several(socket)]
        return [message for message in come if isinstance(message, Answer)]

    def close(self) -> None:
        """Forget what nobody has heard."""
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._context.term()
