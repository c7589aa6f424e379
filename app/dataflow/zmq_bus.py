"""Messages between processes, over ZeroMQ. Who is connected to whom follows from `app/dataflow/streams.py`.

Each sender binds one XPUB per message type and one PUSH per taker that must see every message. Every taker tells the XPUB by a subscription
of its own that it is there (ANNOUNCE + name), so a sender knows who listens, and hears at once of one that died.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from poselift.app.dataflow.bus import Order
from poselift.app.dataflow.messages import Answer, Control, End, Health, Message, MessageError, decode, encode
from poselift.app.dataflow.sockets import (
    ANNOUNCE,
    AT_ONCE,
    RECONNECT_MS,
    address_of,
    announcement,
    newest,
    several,
    stream_name,
    subscribe,
    waits,
)
from poselift.app.dataflow.streams import Link, Take
from poselift.common.errors import UserError

LINGER_MS = 10_000
HEAD_START_S = 0.003
"""Between a message's coming and the end of the rest of those who wait for it."""


class ZmqBus:
    """A worker's end of its streams, as sockets in `folder`."""

    def __init__(
        self, folder: Path, worker: str, links: tuple[Link, ...], queue: int, blocking: bool, restore: Callable[[], None] = lambda: None
    ) -> None:
        """`restore` makes a folder that was removed again, with what belongs there beside the sockets."""
        for link in links:  # one that does not fit shall be told by every worker, at its start
            address_of(folder, stream_name(link.sender, link.message, link.taker))
        self.worker, self.links = worker, links
        self._folder, self._queue, self._blocking, self._restore = folder, queue, blocking, restore
        self._context = zmq.Context()
        self._announced: set[tuple[type[Message], str]] = set()
        self._gone: set[str] = set()
        self._here: frozenset[str] = frozenset()
        self._files: dict[str, tuple[zmq.Socket[bytes], int]] = {}
        """The sockets that this worker has bound, by name, and their files' inodes."""
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
                pull.connect(address_of(self._folder, stream_name(link.sender, link.message, link.taker)))
                self._inputs[pull] = link.take
                self._poller.register(pull, zmq.POLLIN)
            address = address_of(self._folder, stream_name(link.sender, link.message))
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
                come = newest(socket) if take is Take.NEWEST else several(socket)
                if come and isinstance(come[-1], End):
                    self._feeds[socket].unsubscribe(announcement(self.worker))
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

    def room(self, message: Message, timeout_s: float) -> bool:
        """Whether to send a message now: whether those it must not be lost for have room, for which this waits, or have died."""
        if not (self._blocking or isinstance(message, End)):
            return True
        for (kind, taker), socket in self._push.items():
            here = taker not in self._gone if self._blocking else taker in self.takers()
            if here and _carries(kind, message) and not socket.poll(round(timeout_s * 1000), zmq.POLLOUT):
                self.takers()  # who has died meanwhile is not waited for again
                return False
        return True

    def send(self, message: Message) -> tuple[str, ...]:
        """Send at once to all takers of this type; returns those that had no room."""
        data = encode(message)
        for kind, socket in self._publish.items():  # first those who want the newest
            if _carries(kind, message):
                socket.send(data, zmq.NOBLOCK)
        return tuple(taker for (kind, taker), socket in self._push.items() if _carries(kind, message) and not _put(socket, data))

    def takers(self) -> frozenset[str]:
        """The workers that listen to this one, to all that they take from it, and have not taken its End."""
        changed = False
        for kind, socket in self._publish.items():
            while waits(socket):
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

    def orders(self) -> list[Order]:
        """The orders that have come; what is none is refused."""
        orders: list[Order] = []
        for _ in range(AT_ONCE):  # who orders without end does not keep us from our work
            if not waits(self._control):
                break
            peer, data = self._control.recv_multipart()[:2]
            try:
                control = decode(data)
                if not isinstance(control, Control):
                    raise MessageError(f"{type(control).__name__} is no order")
                orders.append(Order(control, peer))
            except MessageError as error:
                self._control.send_multipart([peer, encode(Answer(False, str(error)))])
        return orders

    def answer(self, order: Order, answer: Answer) -> None:
        """Answer an order; nobody hears it where who gave the order has left."""
        self._control.send_multipart([order.way_back, encode(answer)])

    def wake_for(self, sockets: Sequence[Any]) -> None:
        """Have `receive` return at once, too, when something waits in one of these ZeroMQ sockets, which are the worker's own."""
        for socket in sockets:
            self._poller.register(socket, zmq.POLLIN)

    def mend(self) -> bool:
        """Bind again what lost its file: who is connected does not notice, but nobody else would find it. Whether anything had."""
        lost = [name for name, (_, inode) in self._files.items() if _inode(self._folder / name) != inode]
        if lost:
            self._restore()
        for name in lost:
            self._bind_to(self._files[name][0], name)
        return bool(lost)

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
            self._bind_to(socket, name)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise UserError(
                f"{self._folder / name}: this socket cannot be opened ({error.strerror}); is another poselift using it?"
            ) from None
        return socket

    def _bind_to(self, socket: zmq.Socket[bytes], name: str) -> None:
        socket.bind(address_of(self._folder, name))
        self._files[name] = socket, _inode(self._folder / name)


def _carries(kind: type[Message], message: Message) -> bool:
    """Whether a message goes by the stream of that kind: an End by all but what the worker says of itself."""
    return kind is not Health if isinstance(message, End) else kind is type(message)


def _put(socket: zmq.Socket[bytes], data: bytes) -> bool:
    try:
        socket.send(data, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True


def _inode(path: Path) -> int:
    """0 where there is no such file."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
