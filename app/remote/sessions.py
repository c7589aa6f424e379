"""The board's side of the protocol in `wire.py`: a session for each viewer, what it is sent, what it missed. No socket, no clock."""

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
from poselift.app.remote.frame_pacing import FramePacer
from poselift.app.remote.send_queue import PictureSize, SendQueue
from poselift.app.remote.wire import SILENT_S, Camera, Hello, ModelCard, Ping, Pong, Refused, Taken, Want, Welcome, from_viewer
from poselift.common.skeleton import JOINTS, KEYPOINT_BONES, KEYPOINTS, PARENTS

MIN_WIDTH_PX = 16
MAX_NAMES = 32
"""So many viewers' drops are counted by name, in all the time the board runs; those of the others are added up."""
OTHERS = "others"

log = logging.getLogger("serve")


class Peer(NamedTuple):
    """The sender of a message, as far as its connection tells."""

    routing_id: bytes
    """ZeroMQ's name of the connection."""
    user: str
    """The key it authenticated with; empty without keys."""
    name: str
    """The name under which that key is admitted; empty without keys."""
    address: str
    may_control: bool


class ServerInfo(NamedTuple):
    """What the board tells viewers about itself."""

    board: str
    version: str
    models: tuple[ModelCard, ...]
    camera: Camera
    pipeline: Session


class ViewerSession:
    """A viewer that was welcomed."""

    def __init__(self, peer: Peer, name: str, instance: int, number: int) -> None:
        self.peer, self.name, self.instance, self.number = peer, name, instance, number
        self.queue = SendQueue()
        self.heard_ns = 0
        self.counted_drops: dict[str, int] = {}


class ViewerSessions:
    """The sessions of all viewers. Times are ns of the board's monotonic clock."""

    def __init__(self, limits: ServeConfig, info: ServerInfo, first_number: int = 1) -> None:
        """Sessions are numbered from `first_number`; a board that was restarted needs other numbers than before."""
        self.open: dict[bytes, ViewerSession] = {}
        """By routing id."""
        self._limits, self._info = limits, info
        self._next_number = first_number
        self._drops: dict[str, int] = {}
        self._names: set[str] = set()
        self._refusals: dict[bytes, bytes] = {}
        self._pacers: dict[float, FramePacer] = {}

    @property
    def drained(self) -> bool:
        """Whether every viewer has received what was sent to it."""
        return all(session.queue.drained for session in self.open.values())

    @property
    def drops(self) -> dict[str, int]:
        """What viewers missed since the start, by viewer."""
        for session in self.open.values():
            self._count_drops(session)
        return self._drops

    def receive(self, peer: Peer, data: bytes, now_ns: int) -> Optional[Control]:
        """A message has arrived. Returns an order that is to be carried out. Raises MessageError if it is none that viewers send."""
        message = from_viewer(data)
        session = self.open.get(peer.routing_id)
        if isinstance(message, Hello):
            session = session or self._begin(peer, message, now_ns)
            if session:
                session.queue.answer(self._welcome(session))
        if session is None:
            return None  # its session has ended; it says Hello again when nothing comes
        session.heard_ns = now_ns
        if isinstance(message, Ping):
            session.queue.answer(Pong(message.sent_ns, now_ns))
        elif isinstance(message, Taken) and message.session == session.number:
            session.queue.acknowledge(message, now_ns)
        elif isinstance(message, Want):
            session.queue.request_pictures(self._within_limits(message), min(message.rate_hz, self._limits.max_rate_hz))
        elif isinstance(message, Control):
            if session.peer.may_control:
                return message
            session.queue.answer(Answer(False, "this viewer may look only; on the board, poselift keys admit changes that"))
        return None

    def refuse(self, routing_id: bytes, why: str) -> None:
        """Tell a peer why it gets no session."""
        self._refusals[routing_id] = encode(Refused(why))

    def answer(self, routing_id: bytes, answer: Answer) -> None:
        """The result of an order."""
        if routing_id in self.open:
            self.open[routing_id].queue.answer(answer)

    def publish(self, message: Any) -> None:
        """A message for all viewers."""
        data = encode(message)
        for session in self.open.values():
            session.queue.put(message, data)

    def end(self, message: End) -> None:
        """The last message to all viewers."""
        for session in self.open.values():
            session.queue.end(message)

    def set_camera(self, camera: Camera) -> None:
        """How the pictures are taken; viewers are told if it has changed."""
        if camera != self._info.camera:
            self._info = self._info._replace(camera=camera)
            for session in self.open.values():
                session.queue.answer(self._welcome(session))

    def update_peer(self, session: ViewerSession, peer: Peer) -> None:
        """What a viewer may do has perhaps changed; then it is told."""
        if peer != session.peer:
            session.peer = peer
            session.queue.answer(self._welcome(session))

    def picture_requests(self, now_ns: int) -> dict[PictureSize, list[SendQueue]]:
        """Who gets a picture of the frame that is shown now, by size.

        Viewers that want the same rate get the same frames, so that fewer frames have to be compressed.
        """
        queues = [session.queue for session in self.open.values() if session.queue.picture_interval_ns < math.inf]
        intervals_ns = {queue.picture_interval_ns for queue in queues}
        self._pacers = {interval_ns: self._pacers.get(interval_ns) or FramePacer(interval_ns) for interval_ns in intervals_ns}
        due_ns = {interval_ns for interval_ns, pacer in self._pacers.items() if pacer.takes(now_ns)}
        wanted: dict[PictureSize, list[SendQueue]] = {}
        for queue in queues:
            if queue.picture_interval_ns in due_ns and (size := queue.picture_due(now_ns)):
                wanted.setdefault(size, []).append(queue)
        return wanted

    def flush(self, send: Callable[[bytes, bytes], bool], now_ns: int) -> None:
        """Pass to `send` (routing id, message) what there is room for.

        It returns False if it has no room, and raises ConnectionError if the viewer is gone.
        """
        refusals, self._refusals = self._refusals, {}
        for routing_id, data in refusals.items():
            try:
                send(routing_id, data)
            except ConnectionError:
                continue
        for routing_id, session in list(self.open.items()):
            try:
                session.queue.flush(lambda data, routing_id=routing_id: send(routing_id, data), now_ns)  # type: ignore[misc]
            except ConnectionError:
                self.close(routing_id, "left")

    def close_silent(self, now_ns: int) -> None:
        """End the sessions of viewers that froze or were cut off: they send no Ping."""
        for routing_id, session in list(self.open.items()):
            if now_ns - session.heard_ns > SILENT_S * 1e9:
                self.close(routing_id, f"has said nothing for {SILENT_S:g} s")

    def close(self, routing_id: bytes, why: str) -> None:
        """End a session: the viewer gets nothing more."""
        session = self.open.pop(routing_id)
        self._count_drops(session)
        log.info("viewer %s (%s) %s", session.name, session.peer.address, why)

    def _begin(self, peer: Peer, hello: Hello, now_ns: int) -> Optional[ViewerSession]:
        for routing_id, session in list(self.open.items()):
            if (session.instance, session.peer.user) == (hello.instance, peer.user):
                self.close(routing_id, "comes by a new connection")
        if len(self.open) >= self._limits.max_viewers:
            self.refuse(peer.routing_id, f"there are {len(self.open)} viewers already (serve.max_viewers)")
            return None
        session = self.open[peer.routing_id] = ViewerSession(peer, self._unique_name(peer, hello), hello.instance, self._next_number)
        self._next_number += 1
        session.heard_ns = now_ns
        log.info("viewer %s (%s) is here, with poselift %.20s", session.name, peer.address, hello.version)
        return session

    def _unique_name(self, peer: Peer, hello: Hello) -> str:
        """A viewer's name: that of its key or host, with a number if another viewer has it now."""
        name = peer.name or re.sub(r"[^\w.-]", "-", hello.name)[:63] or "unnamed"
        taken = {session.name for session in self.open.values()}
        return next(each for each in (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))) if each not in taken)

    def _welcome(self, session: ViewerSession) -> Welcome:
        limits, info = self._limits, self._info
        return Welcome(
            session=session.number,
            board=info.board,
            version=info.version,
            may_control=session.peer.may_control,
            max_width_px=limits.max_width_px,
            max_quality=limits.max_quality,
            max_rate_hz=limits.max_rate_hz,
            camera=info.camera,
            models=info.models,
            keypoints=KEYPOINTS,
            keypoint_bones=KEYPOINT_BONES,
            joints=JOINTS,
            joint_parents=PARENTS,
            pipeline=info.pipeline,
        )

    def _within_limits(self, want: Want) -> PictureSize:
        width_px = min(max(want.width_px, MIN_WIDTH_PX), self._limits.max_width_px)
        return PictureSize(width_px, min(max(want.quality, 1), self._limits.max_quality))

    def _count_drops(self, session: ViewerSession) -> None:
        """Add what this viewer missed since the last call."""
        if len(self._names) < MAX_NAMES:
            self._names.add(session.name)
        name = session.name if session.name in self._names else OTHERS
        more = sum(session.queue.drops.values()) - sum(session.counted_drops.values())
        if more:
            add(self._drops, {f"no_room:{name}": more})
            session.counted_drops = dict(session.queue.drops)
