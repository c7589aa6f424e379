"""What every worker's loop does beside its work: take messages, stamp what it sends, say how it is, hear orders, leave in order."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, Union

from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.health import Meter
from poselift.app.dataflow.ledger import NEWER_FRAME, QUEUE_FULL, Ledger, add
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Message, Pose2D, Pose3D, Stamp
from poselift.app.dataflow.streams import Take
from poselift.app.processes.notify import ServiceManager, status_line

TURN_S = 0.2
"""How long a loop waits for messages before it looks after other things."""
PAUSE_S = 0.005
"""Between two looks at who listens."""
TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that SIGTERM took away in the middle: 0 is for those whose work is done."""
LAST_WORK_S = 1.0
"""After SIGTERM a worker goes on so long with what still comes: where others go on, something always does."""
EXIT_WITHIN_S = 8
"""A worker that hangs in a system call after SIGTERM is ended by the kernel after this time."""

Numbered = Union[Frame, Pose2D, Pose3D]


class Rest(NamedTuple):
    """What a worker does before it takes the next messages, so that they come several at a time: to wake for each would cost the others."""

    most_s: float
    until: tuple[type[Message], ...] = ()
    """The first of these types that the worker takes ends it."""


OUT_OF_THE_WAY = Rest(0.04, (Pose3D, Pose2D))
"""The pose is computed in peace: what comes meanwhile is taken when it is there, or after this time."""


class Loop:
    """One worker's loop around its end of the bus.

    A worker leaves when all its inputs have ended, or is told to: 'stop' (or SIGTERM) means finish what is in hand. After SIGTERM it says
    no End to those behind it: it may come back.
    """

    def __init__(self, bus: Bus, rest: Rest | None = None) -> None:
        """`rest` is for a worker that is in no hurry."""
        self.bus = bus
        self._rest = rest
        self.incarnation = time.time_ns()
        self.meter = Meter(bus.worker, self.incarnation, time.monotonic_ns())
        self.frames_captured = 0
        self.notes: list[str] = []
        self.manager = ServiceManager()
        self._state = "starting"
        self._ordered, self._terminated = False, False
        self._leave_by_s = math.inf
        self._received_ns = 0
        self._broken = ""
        self._skipped: dict[str, int] = {}
        self.orders: dict[str, Callable[[], Answer]] = {}
        """What this worker can be told beside 'stop' and 'status'."""
        self.beside: Callable[[], None] | None = None
        """What this worker does every turn, beside its inputs."""
        self.mended: Callable[[], None] = lambda: None
        """What this worker does when the runtime folder was removed, and made again: put back what it keeps there."""
        self._inputs = {link.sender for link in bus.links if link.taker == bus.worker and link.message is not Health}
        self._takers = {link.taker: link.take for link in bus.links if link.sender == bus.worker and link.take is not Take.FEED}
        takes = {link.message: link.take for link in bus.links if link.taker == bus.worker}
        self._ledgers = {kind: Ledger(NEWER_FRAME if take is Take.NEWEST else QUEUE_FULL) for kind, take in takes.items()}

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to leave."""
        return self._ordered or self._terminated

    @property
    def terminated(self) -> bool:
        """Whether it was SIGTERM: then this worker may come back."""
        return self._terminated

    @property
    def broken(self) -> str:
        """Once the inputs are over: the worker that left without an End, here or further before; empty where all was in order."""
        return self._broken or min(self._inputs, default="")

    def on_signals(self) -> None:
        """Leave in order on SIGTERM; Ctrl-C is the supervisor's, which then stops everybody in order."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def inputs(self) -> Iterator[Message]:
        """Messages as they come, until all inputs have ended or the worker is told to leave and nothing waits any more."""
        self.bus.listen()
        self.turn()
        while self._inputs:
            leaving = self.stopping
            messages = self.bus.receive(TURN_S)
            if leaving and not messages:
                self.turn()  # an order may have woken us
                messages = self.bus.receive(TURN_S)  # and something may still be on its way
                if not messages:
                    break
            for message in messages:
                self._account(message)
                yield message
            self.turn()
            if time.monotonic() > self._leave_by_s:
                break
            if self._rest:
                self.bus.rest(self._rest.most_s, self._rest.until)

    def on_their_way(self, within_s: float) -> Iterator[Message]:
        """All that was sent until this time from now, as `inputs` gives it: for an order that must not lose what was sent before it."""
        until_ns = time.monotonic_ns() + round(within_s * 1e9)
        while messages := self.bus.receive(max(0.0, (until_ns - time.monotonic_ns()) / 1e9)):
            for message in messages:
                self._account(message)
                yield message
            if min(map(_sent_ns, messages)) > until_ns:
                return

    def send(self, message: Numbered, after: Numbered | None = None) -> tuple[str, ...]:
        """Send with this stage's stamp, behind those of the message it answers; returns the takers that had no room."""
        now_ns = time.monotonic_ns()
        stamp = Stamp(self.bus.worker, self._received_ns if after else message.trace[0].received_ns, now_ns)
        trace = (*after.trace, stamp) if after else (stamp,)
        skipped, self._skipped = self._skipped, {}
        self.manager.watchdog.answered()
        refused = self.bus.send(replace(message, trace=trace, incarnation=self.incarnation, skipped=skipped), self._give_up)
        for taker in refused:
            self.meter.drop({f"{QUEUE_FULL}:{taker}": 1})
        self.meter.done(now_ns - trace[0].received_ns)
        return refused

    def done(self, message: Message) -> None:
        """A message was dealt with that has no answer on the bus."""
        if isinstance(message, (Frame, Pose2D, Pose3D)):
            self.manager.watchdog.answered()
            self.meter.done(time.monotonic_ns() - message.trace[0].received_ns)

    def skip(self, reason: str, count: int = 1) -> None:
        """The message in hand gets no answer; for capture: the source lost `count` pictures."""
        self.manager.watchdog.answered()
        add(self._skipped, {reason: count})
        self.meter.drop({reason: count})

    def pass_by(self) -> None:
        """The message in hand is not wanted: no answer, and no drop either."""
        self.manager.watchdog.answered()

    def alive(self, may_take_s: float) -> None:
        """Said between two long pieces of work before the first turn: the next one may take as long again as the start."""
        self._say(time.monotonic_ns())
        self.manager.tell(EXTEND_TIMEOUT_USEC=str(round(1e6 * may_take_s)))

    def turn(self) -> None:
        """Hear orders, and say how the worker is when it is time."""
        self.bus.orders(self._answer)
        if self.beside:
            self.beside()
        now_ns = time.monotonic_ns()
        starting = self._state == "starting"
        if starting:  # its networks are open, its sockets bound
            self.manager.tell(READY="1")
        if starting or self.meter.due(now_ns):
            if self.bus.mend():
                self.mended()
            self._state = "running" if starting else self._state
            self._say(now_ns)
        self.manager.feed(now_ns)

    def wait_for_takers(self, timeout_s: float) -> set[str]:
        """Wait until all workers behind this one listen; returns those that are still missing."""
        until = time.monotonic() + timeout_s
        while (missing := self._takers.keys() - self.bus.takers()) and not self.stopping and time.monotonic() < until:
            self.turn()
            time.sleep(PAUSE_S)
        return missing

    def end(self) -> None:
        """The last thing a worker does: say how it was, and that no more will come; leave when those who take every message know."""
        self._state = "ending"
        self.manager.tell(STOPPING="1")
        self._say(time.monotonic_ns())
        if not self._terminated:
            end = End(self.bus.worker, self.frames_captured, "; ".join(self.notes), self._skipped, self.broken)
            self.bus.send(end, self._give_up)
            every = {taker for taker, take in self._takers.items() if take is Take.EVERY}
            while every & self.bus.takers() and not self._terminated:
                self.turn()
                time.sleep(PAUSE_S)
        self.bus.close()
        if self._terminated:
            sys.exit(TERMINATED)

    def _account(self, message: Message) -> None:
        self._received_ns = time.monotonic_ns()
        if isinstance(message, End):
            self._inputs.discard(message.sender)
            self._broken = self._broken or message.broken
            self.frames_captured = max(self.frames_captured, message.frames)
            add(self._skipped, message.skipped)
            self.notes += [message.note] if message.note and message.note not in self.notes else []
        elif isinstance(message, (Frame, Pose2D, Pose3D)):
            self.manager.watchdog.accepted(self._received_ns)
            self.meter.begin()
            self.frames_captured = max(self.frames_captured, message.frame + 1)
            missing = self._ledgers[type(message)].missing(message)
            self.meter.drop(missing)
            add(self._skipped, missing)
            add(self._skipped, getattr(message, "skipped", {}))

    def _give_up(self) -> bool:
        """Asked again and again while a full queue makes us wait."""
        self.turn()
        return self._terminated

    def _say(self, now_ns: int) -> None:
        health = self.meter.report(self._state, now_ns)
        self.bus.send(health, lambda: True)
        self.manager.tell(STATUS=status_line(health))

    def _answer(self, control: Control) -> Answer:
        if control.command == "stop":
            self._ordered = True
            return Answer(True, "stopping")
        if control.command == "status":
            return Answer(True, self._state)
        if control.command in self.orders:
            return self.orders[control.command]()
        known = ", ".join(("stop", "status", *self.orders))
        return Answer(False, f"{self.bus.worker} knows no order {control.command!r}; it knows: {known}")

    def _terminate(self, _signal: int, _frame: object) -> None:
        self._terminated = True
        self._leave_by_s = min(self._leave_by_s, time.monotonic() + LAST_WORK_S)
        signal.alarm(EXIT_WITHIN_S)


def _sent_ns(message: Message) -> int:
    """When a message was sent, by the machine's monotonic clock; 0 where it does not say."""
    if isinstance(message, (Frame, Pose2D, Pose3D)):
        return message.trace[-1].done_ns
    return message.monotonic_ns if isinstance(message, Health) else 0
