"""The sockets of streams: their names and addresses, who tells by them that it is there, and what waits in them."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import zmq

from poselift.app.dataflow.messages import End, Message, MessageError, decode, instead_of
from poselift.common.errors import UserError

ANNOUNCE = b"\x00taker:"
"""No message starts so: MessagePack maps begin with 0x80 or more."""
AT_ONCE = 64
RECONNECT_MS = 20
"""After so long a taker looks again for a sender that is gone; its queues sooner, to be there when it is announced."""
MAX_PATH = 100
"""A Unix socket's path has at most 107 bytes."""

log = logging.getLogger("bus")


def stream_name(sender: str, kind: type[Message], taker: str = "") -> str:
    """Name of the socket of a stream, or of its queue for one taker."""
    return f"{sender}.{kind.__name__}" + (f".{taker}" if taker else "")


def subscribe(context: zmq.Context[zmq.Socket[bytes]], address: str, topic: bytes | None, taker: str) -> zmq.Socket[bytes]:
    """A socket that takes what is published at an address (nothing where the topic is None), and says who takes it."""
    socket = context.socket(zmq.SUB)
    socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
    if topic is not None:
        socket.subscribe(topic)
    socket.subscribe(announcement(taker))
    socket.connect(address)
    return socket


def announcement(taker: str) -> bytes:
    """The topic by which a taker says that it is there."""
    return ANNOUNCE + taker.encode()


def address_of(folder: Path, name: str) -> str:
    """Where the socket of that name is. Raises UserError where the folder is too long a path."""
    path = folder / name
    if len(os.fsencode(path)) > MAX_PATH:
        raise UserError(f"{folder}: this runtime_folder is too long a path for sockets; set a shorter one in the config")
    return f"ipc://{path}"


def waits(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received at once."""
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


def _one(socket: zmq.Socket[bytes]) -> list[Message]:
    with contextlib.suppress(zmq.Again):
        return _decoded(socket.recv(zmq.NOBLOCK))
    return []


def several(socket: zmq.Socket[bytes]) -> list[Message]:
    """What waits, up to a limit: to wake for every message alone would cost more than the messages."""
    messages: list[Message] = []
    while len(messages) < AT_ONCE and (waiting := _one(socket)):
        messages += waiting
    return messages


def newest(socket: zmq.Socket[bytes]) -> list[Message]:
    """The newest that waits, and what ends the stream; not CONFLATE, which would lose the message before an End."""
    kept: list[Message] = []
    while True:
        waiting = _one(socket)
        if not waiting:
            return kept
        kept = [*kept, *waiting] if isinstance(waiting[0], End) else [instead_of(kept, waiting[0])]


def _decoded(data: bytes) -> list[Message]:
    try:
        return [decode(data)]
    except MessageError as error:
        log.error("a message was left out: %s", error)
        return []
