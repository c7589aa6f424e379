"""Everything that anybody sends in, each viewer's share of it out, over one TCP port; orders the other way."""

from __future__ import annotations

import logging
import socket
import time
from importlib.metadata import version
from typing import NamedTuple, Optional, Protocol

import cv2

from poselift.app.config import Config
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.bus_clients import OrderSender
from poselift.app.dataflow.frames import PictureGone, RingReader
from poselift.app.dataflow.ledger import add
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Message, MessageError, OtherSchema
from poselift.app.dataflow.session import join
from poselift.app.dataflow.streams import RECORDER, answer_to_a_frame
from poselift.app.processes.loop import OUT_OF_THE_WAY, Loop
from poselift.app.recording.orders import NO_RECORDER, RECORD_START, RECORD_STOP
from poselift.app.remote import wire
from poselift.app.remote.address import Address, parse_address
from poselift.app.remote.frame_pacing import PendingFrames
from poselift.app.remote.keys import folder_for
from poselift.app.remote.refusal_log import RefusalLog
from poselift.app.remote.send_queue import PictureSize
from poselift.app.remote.sessions import Peer, ServerInfo, ViewerSessions
from poselift.app.remote.sockets import ServerSocket
from poselift.common.arrays import Pixels
from poselift.common.camera import focal_length_px
from poselift.workers.cards import model_cards

ANSWER_WITHIN_S = 10.0
END_WITHIN_S = 0.5
"""Viewers that have not acknowledged the last message by then do without."""
BAD_MESSAGE, NO_VIEWERS = "bad_message", "it sends what no viewer says"

log = logging.getLogger("serve")


class _Order(NamedTuple):
    """An order that a worker has not answered yet."""

    routing_id: bytes
    until_ns: int


class Environment(Protocol):
    """What serve acts on: the viewers, the recorder, the ring of frames."""

    def send(self, routing_id: bytes, data: bytes) -> bool:
        """Send to a viewer; False where there is no room. Raises ConnectionError where it is gone."""

    def refreshed(self, peer: Peer) -> Optional[Peer]:
        """A peer with the permission that it has now; None if it is no longer admitted."""

    def order(self, command: str) -> None:
        """Give the recorder an order; its answer comes by `answered`."""

    def forget_order(self) -> None:
        """What the recorder may still answer is no answer to the next order."""

    def picture(self, frame: Frame, size: PictureSize) -> wire.Picture:
        """A frame as a viewer's picture. Raises PictureGone where it is not in the ring any more."""


class Serve:
    """Shares out what comes, hears the viewers, passes their orders on. No socket, no clock: times are ns of the monotonic clock."""

    def __init__(self, config: Config, info: ServerInfo, first_session: int, environment: Environment) -> None:
        """Viewers' sessions are numbered from `first_session`; a serve that was restarted needs other numbers than before."""
        self._config, self._environment = config, environment
        self._sessions = ViewerSessions(config.serve, info, first_session)
        self._order: Optional[_Order] = None
        self._bad = RefusalLog()
        self._pending = PendingFrames(config.capture.ring_slots // 2)
        self._healths: dict[str, Health] = {}
        self._drops: dict[str, int] = {}
        self.answer = answer_to_a_frame(config.running)
        """The last that comes of a frame."""

    @property
    def drops(self) -> dict[str, int]:
        """What viewers missed, by viewer, and what was dropped for all, by reason, since the start."""
        return {**self._sessions.drops, **self._drops}

    @property
    def viewers(self) -> int:
        """So many are there."""
        return len(self._sessions.open)

    @property
    def drained(self) -> bool:
        """Whether every viewer has what was sent to it."""
        return self._sessions.drained

    def step(self, message: Message, now_ns: int) -> None:
        """A message from the bus."""
        if isinstance(message, Frame):
            self._pending.put(message, now_ns)
            self._sessions.set_camera(_camera(self._config, message))
        elif not isinstance(message, End):  # who works on has to say more
            self._sessions.publish(message)
            self.send(now_ns)
        if isinstance(message, self.answer):
            self._pending.posed(message.frame)
        elif isinstance(message, Health):
            self._healths[message.worker] = message

    def hear(self, peer: Peer, data: bytes, now_ns: int) -> None:
        """A viewer says something."""
        try:
            control = self._sessions.receive(peer, data, now_ns)
        except MessageError as error:
            add(self._drops, {BAD_MESSAGE: 1})
            known = isinstance(error, OtherSchema)
            if known:
                self._sessions.refuse(peer.routing_id, str(error))
            _warn(self._bad.add(peer.address, str(error) if known else NO_VIEWERS, now_ns / 1e9))
        else:
            if control:
                self._obey(peer.routing_id, control, now_ns)

    def answered(self, answer: Answer) -> None:
        """The recorder has answered."""
        if self._order:
            self._sessions.answer(self._order.routing_id, answer)
            self._order = None

    def turn(self, now_ns: int) -> None:
        """What the time brings: who may look no longer, orders that nobody answers; and send what there is room for."""
        _warn(self._bad.due(now_ns / 1e9))
        if self._order and now_ns > self._order.until_ns:
            self.answered(Answer(False, f"the recorder has not answered for {ANSWER_WITHIN_S:g} s"))
            self._environment.forget_order()
        for session in list(self._sessions.open.values()):
            peer = self._environment.refreshed(session.peer)
            if peer is None:
                self._sessions.close(session.peer.routing_id, "is not admitted any more")
            else:
                self._sessions.update_peer(session, peer)
        self._sessions.close_silent(now_ns)
        self.send(now_ns)
        self._show(now_ns)

    def send(self, now_ns: int) -> None:
        """Send what there is room for."""
        self._sessions.flush(self._environment.send, now_ns)

    def end(self, end: End, now_ns: int) -> None:
        """The last message to all viewers; then hear and send until they have it."""
        self._sessions.end(end)
        self.send(now_ns)

    def _obey(self, routing_id: bytes, control: Control, now_ns: int) -> None:
        if control.command == "status":
            self._sessions.answer(routing_id, Answer(True, self._status()))
        elif control.command not in (RECORD_START, RECORD_STOP):
            known = ", ".join((RECORD_START, RECORD_STOP, "status"))
            self._sessions.answer(routing_id, Answer(False, f"a viewer cannot order {control.command!r:.80}; it can: {known}"))
        elif RECORDER not in self._config.running:
            self._sessions.answer(routing_id, Answer(False, NO_RECORDER))
        elif self._order:
            self._sessions.answer(routing_id, Answer(False, "the recorder is busy with another order; try again"))
        else:
            self._order = _Order(routing_id, now_ns + round(ANSWER_WITHIN_S * 1e9))
            self._environment.order(control.command)

    def _status(self) -> str:
        healths = (self._healths[worker] for worker in self._config.running if worker in self._healths)
        lines = (f"{it.worker} {it.state}, {it.rate_hz:.1f}/s{f', {it.note}' if it.note else ''}" for it in healths)
        return "; ".join(lines) or "no worker has said anything yet"

    def _show(self, now_ns: int) -> None:
        """A frame to those who want it now: each size is compressed once."""
        frame = self._pending.take(now_ns)
        if frame is None:
            return
        for size, queues in self._sessions.picture_requests(frame.trace[0].received_ns).items():
            try:
                picture = self._environment.picture(frame, size)
            except PictureGone as gone:
                add(self._drops, {gone.reason: len(queues)})
                continue
            for queue in queues:
                queue.put_picture(picture)
        self.send(now_ns)


class Sockets:
    """The real environment."""

    def __init__(self, config: Config, ring: RingReader, address: Address) -> None:
        """Raises UserError where the address cannot be had, or its keys cannot be used."""
        self._folder, self._ring = config.runtime_path(), ring
        self.socket = ServerSocket(address, folder_for(address.loopback, config.serve.keys_folder))
        self._orders = OrderSender(self._folder)
        self.send, self.refreshed = self.socket.send, self.socket.refreshed

    def order(self, command: str) -> None:
        """Give the recorder an order."""
        self._orders.send(RECORDER, command)

    def forget_order(self) -> None:
        """Hear no answer to what was ordered until now."""
        self._orders.close()
        self._orders = OrderSender(self._folder)

    def picture(self, frame: Frame, size: PictureSize) -> wire.Picture:
        """A frame, smaller and compressed. Raises PictureGone."""
        with self._ring.picture(frame) as pixels:
            return _compressed(frame, pixels, size)

    def hear(self, serve: Serve) -> None:
        """Pass on what has come."""
        for peer, data in self.socket.receive():
            serve.hear(peer, data, time.monotonic_ns())
        for answer in self._orders.answers():
            serve.answered(answer)

    def close(self) -> None:
        """Say what waits, within a moment, and close."""
        self._orders.close()
        self.socket.close()


def run(config: Config, bus: Bus) -> None:
    """As it comes, and as far as each viewer keeps up."""
    loop = Loop(bus, OUT_OF_THE_WAY)
    loop.on_signals()
    cv2.setNumThreads(1)
    assert config.serve.address is not None
    address = parse_address(config.serve.address)
    sockets = Sockets(config, RingReader(config.runtime_path(), bus.worker), address)
    serve = Serve(config, _server_info(config), time.time_ns() // 1000, sockets)
    bus.wake_for(sockets.socket.sockets)
    log.info("serving viewers at %s", address)
    if sockets.socket.nobody_admitted:
        log.warning(
            "no viewer is admitted yet; on the machine that is to look type: poselift keys new, and here what it prints for a board"
        )

    for messages in loop.turns():
        for message in messages:
            serve.step(message, time.monotonic_ns())
            loop.done(message) if isinstance(message, serve.answer) else loop.pass_by()
        sockets.hear(serve)
        serve.turn(time.monotonic_ns())
        loop.meter.drops.update(serve.drops)
        loop.meter.viewers = serve.viewers
    if not loop.control.terminated:  # else this worker comes back
        serve.end(End(bus.worker, loop.outgoing.frames, "; ".join(loop.outgoing.notes), broken=loop.intake.broken), time.monotonic_ns())
        _until_drained(serve, sockets, time.monotonic() + END_WITHIN_S)
    sockets.close()
    loop.end()


def _until_drained(serve: Serve, sockets: Sockets, until_s: float) -> None:
    """When we close with something unread, TCP throws away what the other side has not read either: so hear them out."""
    while not serve.drained and (left_s := until_s - time.monotonic()) > 0:
        sockets.socket.wait(left_s)
        sockets.hear(serve)
        serve.send(time.monotonic_ns())


def _warn(line: str) -> None:
    if line:
        log.warning("%s", line)


def _server_info(config: Config) -> ServerInfo:
    unknown = wire.Camera(0, 0, 0.0, 0.0, config.lift.focal_px is None, config.lift.body_height_m)
    return ServerInfo(socket.gethostname(), version("poselift"), model_cards(config), unknown, join(config.runtime_path()))


def _camera(config: Config, frame: Frame) -> wire.Camera:
    focal_px = focal_length_px(config.lift.focal_px, frame.width_px, frame.height_px)
    size = frame.width_px, frame.height_px
    return wire.Camera(*size, float(frame.fps), float(focal_px), config.lift.focal_px is None, float(config.lift.body_height_m))


def _compressed(frame: Frame, pixels: Pixels, size: PictureSize) -> wire.Picture:
    width_px = min(size.width_px, frame.width_px)
    height_px = max(1, round(frame.height_px * width_px / frame.width_px))
    smaller = pixels if width_px == frame.width_px else cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, size.quality])
    return wire.Picture(frame.frame, frame.t_ns, width_px, height_px, len(jpeg), 0, jpeg.tobytes(), frame.trace)
