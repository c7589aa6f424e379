"""The board's side of the conversation with its viewers: who is there, who gets what, what each one missed. No socket, no clock."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from poselift.app.config import ServeConfig
from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Answer, Control, End, encode
from poselift.app.dataflow.session import Session
from poselift.app.remote.cadence import Cadence
from poselift.app.remote.outbox import Outbox, Size
from poselift.app.remote.wire import SILENT_S, Camera, Hello, ModelCard, Ping, Pong, Refused, Taken, Want, Welcome, from_viewer
from poselift.common.skeleton import COCO_BONES, COCO_KEYPOINTS, H36M_JOINTS, H36M_PARENTS

MIN_WIDTH_PX = 16
NAMES = 32
"""So many viewers' drops are told apart by name, in all the time the board runs; those of the others are added up."""
OTHERS = "others"

log = logging.getLogger("serve")


class Visitor(NamedTuple):
    """Who says something, as far as the connection tells."""

    peer: bytes
    """Names the connection."""
    user: str
    """Whose key it has; empty where there are no keys."""
    name: str
    """By which that key is admitted; empty where there are no keys."""
    address: str
    may_control: bool


class Facts(NamedTuple):
    """What the board says of itself."""

    board: str
    version: str
    models: tuple[ModelCard, ...]
    camera: Camera
    pipeline: Session


class Guest:
    """A viewer that was welcomed."""

    def __init__(self, visitor: Visitor, name: str, instance: int, session: int) -> None:
        self.visitor, self.name, self.instance, self.session = visitor, name, instance, session
        self.outbox = Outbox()
        self.heard_ns = 0
        self.counted: dict[str, int] = {}


class Board:
    """All viewers of a board. Times are ns of its monotonic clock."""

    def __init__(self, limits: ServeConfig, facts: Facts, session: int = 1) -> None:
        """`session` is the first viewer's; a board that was started again needs others than before."""
        self.guests: dict[bytes, Guest] = {}
        self._limits, self._facts = limits, facts
        self._session = session
        self._drops: dict[str, int] = {}
        self._names: set[str] = set()
        self._replies: dict[bytes, bytes] = {}
        self._cadences: dict[float, Cadence] = {}

    @property
    def settled(self) -> bool:
        """Whether every viewer has what was sent to it."""
        return all(guest.outbox.settled for guest in self.guests.values())

    @property
    def drops(self) -> dict[str, int]:
        """What viewers missed since the start, by viewer."""
        for guest in self.guests.values():
            self._count(guest)
        return self._drops

    def hear(self, visitor: Visitor, data: bytes, now_ns: int) -> Optional[Control]:
        """Somebody says something; an order that is to be carried out. Raises MessageError where it is nothing that a viewer may say."""
        message = from_viewer(data)
        guest = self.guests.get(visitor.peer)
        if isinstance(message, Hello):
            guest = guest or self._admit(visitor, message, now_ns)
            if guest:
                guest.outbox.answer(self._welcome(guest))
        if guest is None:
            return None  # of an earlier time: it will say Hello when it hears nothing
        guest.heard_ns = now_ns
        if isinstance(message, Ping):
            guest.outbox.answer(Pong(message.sent_ns, now_ns))
        elif isinstance(message, Taken) and message.session == guest.session:
            guest.outbox.taken(message, now_ns)
        elif isinstance(message, Want):
            guest.outbox.want(self._within_limits(message), min(message.rate_hz, self._limits.max_rate_hz))
        elif isinstance(message, Control):
            if guest.visitor.may_control:
                return message
            guest.outbox.answer(Answer(False, "this viewer may look only; on the board, poselift keys admit changes that"))
        return None

    def refuse(self, peer: bytes, why: str) -> None:
        """Tell somebody who is not to be a viewer why."""
        self._replies[peer] = encode(Refused(why))

    def answer(self, peer: bytes, answer: Answer) -> None:
        """What came of an order."""
        if peer in self.guests:
            self.guests[peer].outbox.answer(answer)

    def publish(self, message: Any) -> None:
        """A message for all viewers."""
        data = encode(message)
        for guest in self.guests.values():
            guest.outbox.put(message, data)

    def end(self, message: End) -> None:
        """The last message to all viewers."""
        for guest in self.guests.values():
            guest.outbox.end(message)

    def camera(self, camera: Camera) -> None:
        """How the pictures are taken; viewers hear of it where it has changed."""
        if camera != self._facts.camera:
            self._facts = self._facts._replace(camera=camera)
            for guest in self.guests.values():
                guest.outbox.answer(self._welcome(guest))

    def rights(self, guest: Guest, visitor: Visitor) -> None:
        """What a viewer may do may have changed; it hears so."""
        if visitor != guest.visitor:
            guest.visitor = visitor
            guest.outbox.answer(self._welcome(guest))

    def due(self, now_ns: int) -> dict[Size, list[Outbox]]:
        """A frame came at that time: who is to see it, by what size of picture.

        Those who want equally many see the same frames: for each other frame that is to be seen, there is one more to compress.
        """
        outboxes = [guest.outbox for guest in self.guests.values() if guest.outbox.interval_ns < math.inf]
        self._cadences = {it.interval_ns: self._cadences.get(it.interval_ns) or Cadence(it.interval_ns) for it in outboxes}
        turns = {interval_ns for interval_ns, cadence in self._cadences.items() if cadence.takes(now_ns)}
        wanted: dict[Size, list[Outbox]] = {}
        for outbox in outboxes:
            if outbox.interval_ns in turns and (size := outbox.due(now_ns)):
                wanted.setdefault(size, []).append(outbox)
        return wanted

    def send(self, send: Callable[[bytes, bytes], bool], now_ns: int) -> None:
        """Give to `send` (peer, bytes) what there is room for. It returns False where it has none, and raises ConnectionError where the
        viewer is gone."""
        replies, self._replies = self._replies, {}
        for peer, data in replies.items():
            try:
                send(peer, data)
            except ConnectionError:
                continue
        for peer, guest in list(self.guests.items()):
            try:
                guest.outbox.send(lambda data, peer=peer: send(peer, data), now_ns)  # type: ignore[misc]
            except ConnectionError:
                self.forget(peer, "left")

    def forget_the_silent(self, now_ns: int) -> None:
        """Who froze or was cut off says no Ping."""
        for peer, guest in list(self.guests.items()):
            if now_ns - guest.heard_ns > SILENT_S * 1e9:
                self.forget(peer, f"has said nothing for {SILENT_S:g} s")

    def forget(self, peer: bytes, why: str) -> None:
        """This viewer gets nothing more."""
        guest = self.guests.pop(peer)
        self._count(guest)
        log.info("viewer %s (%s) %s", guest.name, guest.visitor.address, why)

    def _admit(self, visitor: Visitor, hello: Hello, now_ns: int) -> Optional[Guest]:
        for peer, guest in list(self.guests.items()):
            if (guest.instance, guest.visitor.user) == (hello.instance, visitor.user):
                self.forget(peer, "comes by a new connection")
        if len(self.guests) >= self._limits.max_viewers:
            self.refuse(visitor.peer, f"there are {len(self.guests)} viewers already (serve.max_viewers)")
            return None
        guest = self.guests[visitor.peer] = Guest(visitor, self._name(visitor, hello), hello.instance, self._session)
        self._session += 1
        guest.heard_ns = now_ns
        log.info("viewer %s (%s) is here, with poselift %.20s", guest.name, visitor.address, hello.version)
        return guest

    def _name(self, visitor: Visitor, hello: Hello) -> str:
        """What a viewer is called, which nobody else is who is there: several of one host, or of one key, are numbered."""
        name = visitor.name or re.sub(r"[^\w.-]", "-", hello.name)[:63] or "unnamed"
        taken = {guest.name for guest in self.guests.values()}
        return next(each for each in (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))) if each not in taken)

    def _welcome(self, guest: Guest) -> Welcome:
        limits, facts = self._limits, self._facts
        return Welcome(
            session=guest.session,
            board=facts.board,
            version=facts.version,
            may_control=guest.visitor.may_control,
            max_width_px=limits.max_width_px,
            max_quality=limits.max_quality,
            max_rate_hz=limits.max_rate_hz,
            camera=facts.camera,
            models=facts.models,
            keypoints=COCO_KEYPOINTS,
            keypoint_bones=COCO_BONES,
            joints=H36M_JOINTS,
            joint_parents=H36M_PARENTS,
            pipeline=facts.pipeline,
        )

    def _within_limits(self, want: Want) -> Size:
        width_px = min(max(want.width_px, MIN_WIDTH_PX), self._limits.max_width_px)
        return Size(width_px, min(max(want.quality, 1), self._limits.max_quality))

    def _count(self, guest: Guest) -> None:
        """Add what this viewer missed since the last time."""
        if len(self._names) < NAMES:
            self._names.add(guest.name)
        name = guest.name if guest.name in self._names else OTHERS
        more = sum(guest.outbox.drops.values()) - sum(guest.counted.values())
        if more:
            add(self._drops, {f"no_room:{name}": more})
            guest.counted = dict(guest.outbox.drops)
