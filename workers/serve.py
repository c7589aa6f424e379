"""Everything that anybody sends in, each viewer's share of it out, over one TCP port; orders the other way."""

from __future__ import annotations

import logging
import socket
import time
from importlib.metadata import version
from typing import NamedTuple, Optional

import cv2

from app.config import Config
from app.dataflow.bus import Bus
from app.dataflow.frames import Picture, PictureGone, RingReader
from app.dataflow.messages import Answer, Control, End, Frame, Health, Message, MessageError, OtherSchema
from app.dataflow.outside import Orders
from app.dataflow.session import join
from app.dataflow.streams import answer_to_a_frame
from app.processes.loop import OUT_OF_THE_WAY, Loop
from app.recording.orders import NO_RECORDER, RECORD_START, RECORD_STOP
from app.remote import wire
from app.remote.address import Address, parse_address
from app.remote.board import Board, Facts
from app.remote.keys import folder_for
from app.remote.outbox import Size
from app.remote.refusals import Refusals
from app.remote.showing import Showing
from app.remote.sockets import Door, Letter
from models.lifting.person_camera import FOCAL_OF_LONGER_SIDE
from workers.cards import model_cards

ANSWER_WITHIN_S = 10.0
END_WITHIN_S = 0.5
"""Viewers that have not acknowledged the last message by then do without."""
BAD_MESSAGE, NO_VIEWERS = "bad_message", "it sends what no viewer says"

log = logging.getLogger("serve")


class _Order(NamedTuple):
    """An order that a worker has not answered yet."""

    peer: bytes
    until_s: float


class Serve:
    """Connects the board's side of the conversation with its sockets, the ring of frames and the recorder."""

    def __init__(self, config: Config, loop: Loop, ring: RingReader, address: Address) -> None:
        """Raises UserError where the address cannot be had, or its keys cannot be used."""
        self._config, self._loop, self._ring = config, loop, ring
        self._door = Door(address, folder_for(address.loopback, config.serve.keys_folder))
        self._board = Board(config.serve, _facts(config), time.time_ns() // 1000)
        self._orders = Orders(config.runtime_path())
        self._order: Optional[_Order] = None
        self._bad = Refusals()
        self._showing = Showing(config.capture.ring_slots // 2)
        self._healths: dict[str, Health] = {}
        self.answer = answer_to_a_frame(config.running)
        """The last that comes of a frame."""
        loop.bus.wake_for(self._door.sockets)
        log.info("serving viewers at %s", address)
        if self._door.alone:
            log.warning(
                "no viewer is admitted yet; on the machine that is to look type: poselift keys new, and here what it prints for a board"
            )

    def step(self, message: Message) -> None:
        """A message from the bus."""
        if isinstance(message, Frame):
            self._showing.put(message, time.monotonic_ns())
            self._board.camera(_camera(self._config, message))
        elif not isinstance(message, End):  # who works on has to say more
            self._board.publish(message)
            self._send()
        if isinstance(message, self.answer):
            self._showing.posed(message.frame)
        elif isinstance(message, Health):
            self._healths[message.worker] = message

    def turn(self) -> None:
        """Hear the viewers, and send what there is room for."""
        for letter in self._door.letters():
            self._hear(letter)
        self._warn(self._bad.due(time.monotonic()))
        self._look_after_orders()
        now_ns = time.monotonic_ns()
        for guest in list(self._board.guests.values()):
            visitor = self._door.admits(guest.visitor)
            if visitor is None:
                self._board.forget(guest.visitor.peer, "is not admitted any more")
            else:
                self._board.rights(guest, visitor)
        self._board.forget_the_silent(now_ns)
        self._send()
        self._show(now_ns)
        self._loop.meter.drops.update(self._board.drops)
        self._loop.meter.viewers = len(self._board.guests)

    def close(self, end: Optional[End]) -> None:
        """Tell the viewers, unless this worker comes back."""
        if end:
            self._board.end(end)
            self._send()
            self._until_settled(time.monotonic() + END_WITHIN_S)
        self._orders.close()
        self._door.close()

    def _until_settled(self, until_s: float) -> None:
        """When we close with something unread, TCP throws away what the other side has not read either: so hear them out."""
        while not self._board.settled and (left_s := until_s - time.monotonic()) > 0:
            self._door.wait(left_s)
            for letter in self._door.letters():
                self._hear(letter)
            self._send()

    def _hear(self, letter: Letter) -> None:
        visitor = letter.visitor
        try:
            control = self._board.hear(visitor, letter.data, time.monotonic_ns())
        except MessageError as error:
            self._loop.meter.drop({BAD_MESSAGE: 1})
            known = isinstance(error, OtherSchema)
            if known:
                self._board.refuse(visitor.peer, str(error))
            self._warn(self._bad.add(visitor.address, str(error) if known else NO_VIEWERS, time.monotonic()))
        else:
            if control:
                self._obey(visitor.peer, control)

    def _obey(self, peer: bytes, control: Control) -> None:
        if control.command == "status":
            self._board.answer(peer, Answer(True, self._status()))
        elif control.command not in (RECORD_START, RECORD_STOP):
            known = ", ".join((RECORD_START, RECORD_STOP, "status"))
            self._board.answer(peer, Answer(False, f"a viewer cannot order {control.command!r:.80}; it can: {known}"))
        elif "record" not in self._config.running:
            self._board.answer(peer, Answer(False, NO_RECORDER))
        elif self._order:
            self._board.answer(peer, Answer(False, "the recorder is busy with another order; try again"))
        else:
            self._order = _Order(peer, time.monotonic() + ANSWER_WITHIN_S)
            self._orders.give("record", control.command)

    def _look_after_orders(self) -> None:
        answers = self._orders.answers()
        if self._order and answers:
            self._board.answer(self._order.peer, answers[-1])
            self._order = None
        elif self._order and time.monotonic() > self._order.until_s:
            self._board.answer(self._order.peer, Answer(False, f"the recorder has not answered for {ANSWER_WITHIN_S:g} s"))
            self._order = None
            self._orders.close()  # what it may still answer is no answer to the next order
            self._orders = Orders(self._config.runtime_path())

    def _warn(self, line: str) -> None:
        if line:
            log.warning("%s", line)

    def _status(self) -> str:
        healths = (self._healths[worker] for worker in self._config.running if worker in self._healths)
        lines = (f"{it.worker} {it.state}, {it.rate_hz:.1f}/s{f', {it.note}' if it.note else ''}" for it in healths)
        return "; ".join(lines) or "no worker has said anything yet"

    def _send(self) -> None:
        self._board.send(self._door.send, time.monotonic_ns())

    def _show(self, now_ns: int) -> None:
        """A frame to those who want it now: each size is compressed once."""
        frame = self._showing.take(now_ns)
        if frame is None:
            return
        for size, outboxes in self._board.due(frame.trace[0].received_ns).items():
            try:
                with self._ring.picture(frame) as pixels:
                    picture = _compressed(frame, pixels, size)
            except PictureGone as gone:
                self._loop.meter.drop({gone.reason: len(outboxes)})
                continue
            for outbox in outboxes:
                outbox.show(picture)
        self._send()


def run(config: Config, bus: Bus) -> None:
    """As it comes, and as far as each viewer keeps up."""
    loop = Loop(bus, OUT_OF_THE_WAY)
    loop.on_signals()
    cv2.setNumThreads(1)
    assert config.serve.address is not None
    address = parse_address(config.serve.address)
    serve = Serve(config, loop, RingReader(config.runtime_path(), bus.worker), address)
    loop.beside = serve.turn
    for message in loop.inputs():
        serve.step(message)
        loop.done(message) if isinstance(message, serve.answer) else loop.pass_by()
    serve.close(None if loop.terminated else End(bus.worker, loop.frames_captured, "; ".join(loop.notes)))
    loop.beside = None
    loop.end()


def _facts(config: Config) -> Facts:
    unknown = wire.Camera(0, 0, 0.0, 0.0, config.lift.focal_px is None, config.lift.body_height_m)
    return Facts(socket.gethostname(), version("poselift"), model_cards(config), unknown, join(config.runtime_path()))


def _camera(config: Config, frame: Frame) -> wire.Camera:
    focal_px = config.lift.focal_px or FOCAL_OF_LONGER_SIDE * max(frame.width_px, frame.height_px)
    size = frame.width_px, frame.height_px
    return wire.Camera(*size, float(frame.fps), float(focal_px), config.lift.focal_px is None, float(config.lift.body_height_m))


def _compressed(frame: Frame, pixels: Picture, size: Size) -> wire.Picture:
    width_px = min(size.width_px, frame.width_px)
    height_px = max(1, round(frame.height_px * width_px / frame.width_px))
    smaller = pixels if width_px == frame.width_px else cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, size.quality])
    return wire.Picture(frame.frame, frame.t_ns, width_px, height_px, len(jpeg), 0, jpeg.tobytes(), frame.trace)
