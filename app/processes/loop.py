"""One worker's loop around its end of the bus: takes what comes, sends what the worker makes of it, hears orders, says how it is.

Each job is a class that knows no bus: `intake.py`, `outgoing.py`, `control.py`. Nothing runs within itself: the bus calls nobody back,
while a full queue makes a sender wait the loop hears orders between two looks for room, and what only the worker can answer comes
among its inputs.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from poselift.app.dataflow.bus import Bus, Order
from poselift.app.dataflow.health import Meter
from poselift.app.dataflow.ledger import QUEUE_FULL
from poselift.app.dataflow.messages import NUMBERED, Answer, Health, Message, Numbered, Pose2D, Pose3D
from poselift.app.dataflow.streams import Take
from poselift.app.processes.control import ControlPlane
from poselift.app.processes.intake import Intake
from poselift.app.processes.notify import ServiceManager
from poselift.app.processes.outgoing import Outgoing

TURN_S = 0.2
"""How long a loop waits for messages before it looks after other things."""
ROOM_S = 0.1
"""How long it waits for room in a queue before it does."""
PAUSE_S = 0.005
"""Between two looks at who listens."""
TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that SIGTERM took away in the middle: 0 is for those whose work is done."""
EXIT_WITHIN_S = 8
"""A worker that hangs in a system call after SIGTERM is ended by the kernel after this time."""
ON_THEIR_WAY_S = 0.1
"""What was sent before one of the worker's own orders is there after this time."""


class Rest(NamedTuple):
    """What a worker does before it takes the next messages, so that they come several at a time: to wake for each would cost the others."""

    most_s: float
    until: tuple[type[Message], ...] = ()
    """The first of these types that the worker takes ends it."""


OUT_OF_THE_WAY = Rest(0.04, (Pose3D, Pose2D))
"""The pose is computed in peace: what comes meanwhile is taken when it is there, or after this time."""
FROM_FILE = Rest(0.02)
"""Nobody waits for a single message, and to wake for each would cost the detector time."""


class Loop:
    """One worker's loop.

    A worker leaves when all its inputs have ended, or is told to: 'stop' (or SIGTERM) means finish what is in hand. After SIGTERM it says
    no End to those behind it: it may come back.
    """

    def __init__(
        self, bus: Bus, rest: Rest | None = None, commands: Collection[str] = (), mended: Callable[[], None] = lambda: None
    ) -> None:
        """`rest` is for a worker that is in no hurry. `commands` are the orders that it answers itself, beside 'stop' and 'status'.

        `mended` puts back what the worker keeps in the runtime folder, where that was removed and made again.
        """
        self.bus = bus
        self.incarnation = time.time_ns()
        self.meter = Meter(bus.worker, self.incarnation, time.monotonic_ns())
        self.manager = ServiceManager()
        self.outgoing = Outgoing(bus.worker, self.incarnation)
        self.intake = Intake(bus.worker, bus.links)
        self.control = ControlPlane(bus.worker, self.meter, self.manager, commands)
        self._rest, self._mended = rest, mended
        self._received_ns = 0
        self._orders: deque[Order] = deque()
        """Those that are the worker's to answer; the first is in hand."""
        self._takers = {link.taker: link.take for link in bus.links if link.sender == bus.worker and link.take is not Take.FEED}

    def on_signals(self) -> None:
        """Leave in order on SIGTERM; Ctrl-C is the supervisor's, which then stops everybody in order."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def inputs(self) -> Iterator[Message]:
        """Messages as they come, until all inputs have ended or the worker is told to leave and nothing waits any more.

        An order of the worker's own, a Control, comes behind all that was sent before it; `answer` it.
        """
        for messages in self.turns():
            yield from messages

    def turns(self) -> Iterator[Iterator[Message]]:
        """The same turn by turn, for who has more to do: at most TURN_S and a rest pass between two. Each may be empty."""
        self.bus.listen()
        self.turn()
        while self.intake.open:
            leaving = self.control.stopping
            messages = self.bus.receive(TURN_S)
            if leaving and not messages:
                self.turn()  # an order may have woken us
                messages = self.bus.receive(TURN_S)  # and something may still be on its way
                if not messages:
                    break
            yield map(self._take, messages)
            self.turn()
            while self._orders:
                yield self._until(self._orders[0])
                self.turn()
            if time.monotonic() > self.control.leave_by_s:
                break
            if self._rest:
                self.bus.rest(self._rest.most_s, self._rest.until)

    def send(self, message: Numbered, after: Numbered | None = None) -> tuple[str, ...]:
        """Send with this stage's stamp, behind those of the message it answers; returns the takers that had no room."""
        now_ns = time.monotonic_ns()
        stamped = self.outgoing.stamped(message, after, self._received_ns, now_ns)
        self.manager.watchdog.answered()
        refused = self._deliver(stamped)
        for taker in refused:
            self.meter.drop({f"{QUEUE_FULL}:{taker}": 1})
        self.meter.done(now_ns - stamped.trace[0].received_ns)
        return refused

    def done(self, message: Message) -> None:
        """A message was dealt with that has no answer on the bus."""
        if isinstance(message, NUMBERED):
            self.manager.watchdog.answered()
            self.meter.done(time.monotonic_ns() - message.trace[0].received_ns)

    def skip(self, reason: str, count: int = 1) -> None:
        """The message in hand gets no answer; for capture: the source lost `count` pictures."""
        self.manager.watchdog.answered()
        self.outgoing.skip({reason: count})
        self.meter.drop({reason: count})

    def pass_by(self) -> None:
        """The message in hand is not wanted: no answer, and no drop either."""
        self.manager.watchdog.answered()

    def answer(self, answer: Answer) -> None:
        """Answer the order in hand."""
        self.bus.answer(self._orders.popleft(), answer)

    def alive(self, may_take_s: float) -> None:
        """Said between two long pieces of work before the first turn: the next one may take as long again as the start."""
        self.bus.send(self.control.loading(time.monotonic_ns(), may_take_s))

    def turn(self) -> None:
        """Hear orders, and say how the worker is when it is time."""
        for order in self.bus.orders():
            if answer := self.control.hear(order.control.command):
                self.bus.answer(order, answer)
            else:
                self._orders.append(order)
        now_ns = time.monotonic_ns()
        if self.control.due(now_ns):
            if self.bus.mend():
                self._mended()
            self.bus.send(self.control.report(now_ns))
        self.manager.feed(now_ns)

    def wait_for_takers(self, timeout_s: float) -> set[str]:
        """Wait until all workers behind this one listen; returns those that are still missing."""
        until = time.monotonic() + timeout_s
        while (missing := self._takers.keys() - self.bus.takers()) and not self.control.stopping and time.monotonic() < until:
            self.turn()
            time.sleep(PAUSE_S)
        return missing

    def end(self) -> None:
        """The last thing a worker does: say how it was, and that no more will come; leave when those who take every message know."""
        self.bus.send(self.control.ending(time.monotonic_ns()))
        while self._orders:
            self.answer(Answer(False, f"{self.bus.worker} is ending"))
        if not self.control.terminated:
            self._deliver(self.outgoing.end(self.intake.broken))
            every = {taker for taker, take in self._takers.items() if take is Take.EVERY}
            while every & self.bus.takers() and not self.control.terminated:
                self.turn()
                time.sleep(PAUSE_S)
        self.bus.close()
        if self.control.terminated:
            sys.exit(TERMINATED)

    def _take(self, message: Message) -> Message:
        self._received_ns = time.monotonic_ns()
        lost = self.intake.take(message)
        self.outgoing.pass_on(message, lost)
        if isinstance(message, NUMBERED):
            self.manager.watchdog.accepted(self._received_ns)
            self.meter.begin()
            self.meter.drop(lost)
        return message

    def _until(self, order: Order) -> Iterator[Message]:
        """All that was sent before an order, and the order."""
        until_ns = time.monotonic_ns() + round(ON_THEIR_WAY_S * 1e9)
        while messages := self.bus.receive(max(0.0, (until_ns - time.monotonic_ns()) / 1e9)):
            yield from map(self._take, messages)
            if min(map(_sent_ns, messages)) > until_ns:
                break
        yield order.control

    def _deliver(self, message: Message) -> tuple[str, ...]:
        while not self.bus.room(message, ROOM_S):
            self.turn()
            if self.control.terminated:
                break
        return self.bus.send(message)

    def _terminate(self, _signal: int, _frame: object) -> None:
        self.control.terminate(time.monotonic())
        signal.alarm(EXIT_WITHIN_S)


def _sent_ns(message: Message) -> int:
    """When a message was sent, by the machine's monotonic clock; 0 where it does not say."""
    if isinstance(message, NUMBERED):
        return message.trace[-1].done_ns
    return message.monotonic_ns if isinstance(message, Health) else 0
