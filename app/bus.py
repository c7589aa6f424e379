"""Messages between processes, over ZeroMQ: the only file that knows it. Who is connected to whom follows from `app/streams.py`.

Each sender binds one XPUB per message type and one PUSH per taker that must see every message. Every taker tells the XPUB by a subscription
of its own that it is there (ANNOUNCE + name), so a sender knows who listens, and hears at once of one that died.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import zmq

from app.errors import UserError
from app.messages import Answer, Control, End, Health, Message, MessageError, decode, encode
from app.streams import Link, Take

ANNOUNCE = b"\x00taker:"
"""No message starts so: MessagePack maps begin with 0x80 or more."""
LINGER_MS = 10_000
POLL_MS = 100
AT_ONCE = 64
RECONNECT_MS = 20
"""After so long a taker looks again for a sender that is gone; its queues sooner, to be there when it is announced."""
HEAD_START_S = 0.003
"""Between a message's coming and the end of the rest of those who wait for it."""
MAX_PATH = 100
"""A Unix socket's path has at most 107 bytes."""

log = logging.getLogger("bus")


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

    def close(self) -> None:
        """Deliver what waits, within a limit, and disconnect."""


class ZmqBus:
    """A worker's end of its streams, as sockets in `folder`."""

    def __init__(self, folder: Path, worker: str, links: tuple[Link, ...], queue: int, blocking: bool) -> None:
        for link in links:  # one that does not fit shall be told by every worker, at its start
            _address(folder, stream_name(link.sender, link.message, link.taker))
        self.worker, self.links = worker, links
        self._folder, self._queue, self._blocking = folder, queue, blocking
        self._context = zmq.Context()
        self._announced: set[tuple[type[Message], str]] = set()
        self._gone: set[str] = set()
        self._here: frozenset[str] = frozenset()
        sent = {link.message for link in links if link.sender == worker}
        self._publish = {kind: self._bind(zmq.XPUB, stream_name(worker, kind)) for kind in sent}
        self._push = {
            (link.message, link.taker): self._bind(zmq.PUSH, stream_name(worker, link.message, link.taker))
            for link in links
            if link.sender == worker and link.take is Take.EVERY
        }
        self._control = self._bind(zmq.ROUTER, f"{worker}.Control")
        self._inputs: dict[zmq.Socket[bytes], Take] = {}
        self._kinds: dict[zmq.Socket[bytes], type[Message]] = {}
        self._feeds: dict[zmq.Socket[bytes], zmq.Socket[bytes]] = {}
        self._poller = zmq.Poller()
        self._poller.register(self._control, zmq.POLLIN)

    def listen(self) -> None:
        """Connect to the senders: from now on messages come."""
        for link in self.links:
            if link.taker != self.worker:
                continue
            pull = None
            if link.take is Take.EVERY:  # the queue first: who is announced shall be able to take
                pull = self._context.socket(zmq.PULL)
                pull.set(zmq.RCVHWM, self._queue)
                pull.set(zmq.RECONNECT_IVL, RECONNECT_MS // 4)
                pull.connect(_address(self._folder, stream_name(link.sender, link.message, link.taker)))
                self._inputs[pull] = link.take
                self._poller.register(pull, zmq.POLLIN)
            address = _address(self._folder, stream_name(link.sender, link.message))
            feed = subscribe(self._context, address, None if pull else b"", self.worker)
            self._feeds[pull or feed] = feed
            self._poller.register(feed, zmq.POLLIN)  # also where nothing comes by it: a socket that nobody polls is not announced again
            if not pull:
                self._inputs[feed] = link.take
            self._kinds[pull or feed] = link.message

    def receive(self, timeout_s: float) -> list[Message]:
        """What has come, of a NEWEST stream the newest alone (and its End behind it); empty after the time-out."""
        ready = dict(self._poller.poll(round(timeout_s * 1000)))
        messages: list[Message] = []
        for socket, take in self._inputs.items():
            if socket in ready:
                come = _newest(socket) if take is Take.NEWEST else _several(socket)
                if come and isinstance(come[-1], End):
                    self._feeds[socket].unsubscribe(_announcement(self.worker))
                messages += come
        return messages

    def rest(self, rest_s: float, until: tuple[type[Message], ...]) -> None:
        """Leave alone what comes, for a time, or until a message is there, and those in a hurry have it.

        Of which type: the first of these that this worker takes.
        """
        awaited = next((kind for kind in until if kind in self._kinds.values()), None)
        if awaited is None:
            time.sleep(rest_s)
            return
        poller = zmq.Poller()
        for socket, kind in self._kinds.items():
            if kind is awaited:
                poller.register(socket, zmq.POLLIN)
        if poller.poll(round(rest_s * 1000)):
            time.sleep(HEAD_START_S)

    def send(self, message: Message, give_up: Callable[[], bool]) -> tuple[str, ...]:
        """Send to all takers of this type; returns those that had no room.

        In file mode, and with an End, waits for room, until `give_up()` or until the taker has died.
        """
        data = encode(message)
        kinds = {kind for kind in self._publish if (kind is not Health if isinstance(message, End) else kind is type(message))}
        for kind in kinds:  # first those who want the newest
            self._publish[kind].send(data, zmq.NOBLOCK)
        refused = []
        for (kind, taker), socket in self._push.items():
            patient = self._blocking or (isinstance(message, End) and taker in self.takers())
            if kind in kinds and not self._put(socket, data, taker, give_up if patient else None):
                refused.append(taker)
        return tuple(refused)

    def takers(self) -> frozenset[str]:
        """The workers that listen to this one, to all that they take from it, and have not taken its End."""
        changed = False
        for kind, socket in self._publish.items():
            while _waits(socket):
                event = socket.recv()
                if event[1:].startswith(ANNOUNCE):
                    taker = event[1 + len(ANNOUNCE) :].decode(errors="replace")
                    (self._announced.add if event[0] else self._announced.discard)((kind, taker))
                    (self._gone.discard if event[0] else self._gone.add)(taker)
                    changed = True
        if changed:
            needed = {(link.message, link.taker) for link in self.links if link.sender == self.worker and link.take is not Take.FEED}
            self._here = frozenset({taker for _, taker in self._announced} - {taker for _, taker in needed - self._announced})
        return self._here

    def orders(self, answer: Callable[[Control], Answer]) -> None:
        """Answer the orders that have come."""
        while _waits(self._control):
            peer, data = self._control.recv_multipart()[:2]
            try:
                order = decode(data)
                reply = answer(order) if isinstance(order, Control) else Answer(False, f"{type(order).__name__} is no order")
            except MessageError as error:
                reply = Answer(False, str(error))
            self._control.send_multipart([peer, encode(reply)])

    def wake_for(self, sockets: Sequence[Any]) -> None:
        """Have `receive` return at once, too, when something waits in one of these ZeroMQ sockets, which are the worker's own."""
        for socket in sockets:
            self._poller.register(socket, zmq.POLLIN)

    def close(self) -> None:
        """Deliver what waits, within a limit, and disconnect."""
        for socket in {*self._inputs, *self._feeds.values()}:
            socket.close(linger=0)
        for socket in (*self._publish.values(), *self._push.values(), self._control):
            socket.close(linger=LINGER_MS)
        self._context.term()

    def _bind(self, kind: int, name: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.set(zmq.SNDHWM, self._queue if kind == zmq.PUSH else 1000)
        try:
            socket.bind(_address(self._folder, name))
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise UserError(
                f"{self._folder / name}: this socket cannot be opened ({error.strerror}); is another poselift using it?"
            ) from None
        return socket

    def _put(self, socket: zmq.Socket[bytes], data: bytes, taker: str, give_up: Callable[[], bool] | None) -> bool:
        while give_up and not socket.poll(0 if taker in self._gone else POLL_MS, zmq.POLLOUT):
            self.takers()
            if taker in self._gone or give_up():
                return False
        try:
            socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


class Watch:
    """Looks on from outside the workers: all messages of some types, as they come."""

    def __init__(self, folder: Path, links: tuple[Link, ...]) -> None:
        self._context = zmq.Context()
        self._sockets = [
            subscribe(self._context, _address(folder, stream_name(link.sender, link.message)), b"", link.taker) for link in links
        ]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)

    def receive(self, timeout_s: float) -> list[Message]:
        """All that has come; empty after the time-out."""
        ready = dict(self._poller.poll(round(timeout_s * 1000)))
        return [message for socket in self._sockets if socket in ready for message in _several(socket)]

    def close(self) -> None:
        """Disconnect."""
        for socket in self._sockets:
            socket.close(linger=0)
        self._context.term()


def order(folder: Path, worker: str, command: str, timeout_s: float) -> Answer | None:
    """Give a worker an order; its answer, or None where it does not answer in time."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(_address(folder, f"{worker}.Control"))
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
            self._sockets[worker].connect(_address(self._folder, f"{worker}.Control"))
        self._sockets[worker].send(encode(Control(command)), zmq.NOBLOCK)

    def answers(self) -> list[Answer]:
        """What the workers have answered since the last call."""
        come = [message for socket in self._sockets.values() for message in _several(socket)]
        return [message for message in come if isinstance(message, Answer)]

    def close(self) -> None:
        """Forget what nobody has heard."""
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._context.term()


def stream_name(sender: str, kind: type[Message], taker: str = "") -> str:
    """Name of the socket of a stream, or of its queue for one taker."""
    return f"{sender}.{kind.__name__}" + (f".{taker}" if taker else "")


def subscribe(context: zmq.Context[zmq.Socket[bytes]], address: str, topic: bytes | None, taker: str) -> zmq.Socket[bytes]:
    """A socket that takes what is published at an address (nothing where the topic is None), and says who takes it."""
    socket = context.socket(zmq.SUB)
    socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
    if topic is not None:
        socket.subscribe(topic)
    socket.subscribe(_announcement(taker))
    socket.connect(address)
    return socket


def _announcement(taker: str) -> bytes:
    return ANNOUNCE + taker.encode()


def _address(folder: Path, name: str) -> str:
    path = folder / name
    if len(os.fsencode(path)) > MAX_PATH:
        raise UserError(f"{folder}: this runtime_folder is too long a path for sockets; set a shorter one in the config")
    return f"ipc://{path}"


def _waits(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


def _one(socket: zmq.Socket[bytes]) -> list[Message]:
    with contextlib.suppress(zmq.Again):
        return _decoded(socket.recv(zmq.NOBLOCK))
    return []


def _several(socket: zmq.Socket[bytes]) -> list[Message]:
    """What waits, up to a limit: to wake for every message alone would cost more than the messages."""
    messages: list[Message] = []
    while len(messages) < AT_ONCE and (waiting := _one(socket)):
        messages += waiting
    return messages


def _newest(socket: zmq.Socket[bytes]) -> list[Message]:
    """The newest that waits, and what ends the stream; not CONFLATE, which would lose the message before an End."""
    newest: list[Message] = []
    while True:
        waiting = _one(socket)
        if not waiting:
            return newest
        newest = [*newest, *waiting] if isinstance(waiting[0], End) else waiting


def _decoded(data: bytes) -> list[Message]:
    try:
        return [decode(data)]
    except MessageError as error:
        log.error("a message was left out: %s", error)
        return []
