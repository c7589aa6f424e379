"""Every worker's loop, on a bus in memory: what it takes, stamps, counts and says, and when it leaves."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from poselift.app.dataflow.ledger import DAMAGED, NEWER_FRAME, NOT_READY, OVERWRITTEN, QUEUE_FULL, WORKER_DIED
from poselift.app.dataflow.memory_bus import MemoryBus, MemoryHub
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Message, Pose2D, Pose3D, Stamp, decode
from poselift.app.dataflow.streams import WATCH, WORKERS, links
from poselift.app.dataflow.tally import Tally
from poselift.app.processes.control import ControlPlane
from poselift.app.processes.loop import Loop

Chance = Callable[[], bool]


class TestBus(MemoryBus):
    """Fails where a loop waits for what never comes, and can refuse as a bus between processes does."""

    __test__ = False

    def __init__(self, hub: MemoryHub, worker: str) -> None:
        super().__init__(hub, worker)
        self.hub = hub
        self.refuses: Chance = lambda: False
        self.while_full: list[Callable[[], None]] = []
        """What happens before there is room, at one look after the other."""
        self.present = frozenset(link.taker for link in hub.links if link.sender == worker)
        self._empty = 0

    def receive(self, timeout_s: float) -> list[Message]:
        messages = super().receive(timeout_s)
        self._empty = 0 if messages else self._empty + 1
        assert self._empty < 5, f"{self.worker} waits for ever"
        return messages

    def room(self, message: Message, timeout_s: float) -> bool:
        if self.while_full:
            self.while_full.pop(0)()
            return False
        return True

    def send(self, message: Message) -> tuple[str, ...]:
        if self.refuses() and isinstance(message, (Pose2D, Pose3D)):
            return ("somebody",)
        return super().send(message)

    def takers(self) -> frozenset[str]:
        return self.present & super().takers()


def a_frame(number: int, incarnation: int = 1) -> Frame:
    return Frame(number, 1000 + number, 64, 48, 30.0, 0, 0, 0, "ring", b"", incarnation, (Stamp("capture", 5, 6),))


def a_pose2d(number: int, incarnation: int = 1, **skipped: int) -> Pose2D:
    return Pose2D(number, 1000 + number, 64, 48, np.zeros(0), np.zeros((0, 21, 3)), None, skipped, incarnation, (Stamp("capture", 5, 6),))


def a_pose3d(number: int) -> Pose3D:
    joints, flags = np.zeros((0, 21, 3)), np.zeros(0)
    return Pose3D(
        number, 1000 + number, 64, 48, flags, joints, joints, joints, np.zeros((0, 3)), np.zeros((0, 21)), np.zeros((0, 4)), flags, flags
    )


def a_hub(mode: str = "live", workers: Collection[str] = WORKERS) -> MemoryHub:
    return MemoryHub(links(mode, workers))


def say(hub: MemoryHub, sender: str, *messages: Message) -> None:
    for message in messages:
        hub.bus(sender).send(message)


def numbers(messages: list[Message]) -> list[int]:
    return [message.frame for message in messages if isinstance(message, (Frame, Pose2D, Pose3D))]


@pytest.fixture
def signals() -> Iterator[None]:
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
    yield
    signal.alarm(0)
    for kind, handler in before.items():
        signal.signal(kind, handler)


def test_from_a_file_every_frame_is_taken() -> None:
    hub = a_hub("file")
    say(hub, "capture", *map(a_frame, range(5)), End("capture", 5, ""))
    loop = Loop(TestBus(hub, "detect"))
    taken = list(loop.inputs())
    assert numbers(taken) == [0, 1, 2, 3, 4] and isinstance(taken[-1], End)
    assert loop.meter.drops == {}


def test_live_the_newest_frame_is_taken_and_the_others_are_counted() -> None:
    hub = a_hub("live")
    loop = Loop(TestBus(hub, "detect"))
    inputs = loop.inputs()
    say(hub, "capture", a_frame(0))
    taken = [next(inputs)]
    say(hub, "capture", *map(a_frame, range(1, 5)))
    taken.append(next(inputs))
    say(hub, "capture", *map(a_frame, range(5, 7)), End("capture", 7, ""))
    taken += inputs
    assert numbers(taken) == [0, 4, 6] and isinstance(taken[-1], End)
    assert loop.meter.drops == {NEWER_FRAME: 4}


def test_a_worker_leaves_when_all_its_inputs_have_ended() -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "record"))
    inputs = loop.inputs()
    say(hub, "capture", a_frame(0), End("capture", 1, ""))
    say(hub, "detect", a_pose2d(0), End("detect", 1, ""))
    assert [type(next(inputs)) for _ in range(4)].count(End) == 2
    say(hub, "lift", a_pose3d(0), a_pose3d(1))
    assert [type(next(inputs)) for _ in range(2)] == [Pose3D, Pose3D]
    say(hub, "lift", End("lift", 2, ""))
    assert [type(message) for message in inputs] == [End]


def test_health_alone_keeps_nobody() -> None:
    hub = a_hub("live", ("capture", "record"))
    loop = Loop(TestBus(hub, "record"))
    say(hub, "capture", loop.meter.report("running", 1), a_frame(0), End("capture", 1, ""))
    assert {type(message) for message in loop.inputs()} == {Health, Frame, End}


def test_the_stop_order_finishes_what_waits_and_says_so() -> None:
    hub = a_hub()
    say(hub, "detect", *map(a_pose2d, range(3)))
    hub.controls.setdefault("lift", TestBus(hub, "lift")._control).append(Control("stop"))
    loop = Loop(TestBus(hub, "lift"))
    assert numbers(list(loop.inputs())) == [0, 1, 2]
    assert loop.control.stopping
    loop.end()
    assert [answer.ok for answer in hub.answers] == [True]
    assert hub.taken(WATCH, Pose3D) == [End("lift", 3, "", broken="detect")], "which said no End"


@pytest.mark.parametrize("broken", ["", "capture"])
def test_an_end_tells_whether_a_worker_further_before_left_without_one(broken: str) -> None:
    hub = a_hub()
    say(hub, "detect", a_pose2d(0), End("detect", 1, "", broken=broken))
    loop = Loop(TestBus(hub, "lift"))
    assert len(list(loop.inputs())) == 2
    loop.end()
    assert hub.taken(WATCH, Pose3D) == [End("lift", 1, "", broken=broken)]


def test_sigterm_finishes_what_waits_but_says_no_end(signals: None) -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "lift"))
    loop.on_signals()
    inputs = loop.inputs()
    say(hub, "detect", *map(a_pose2d, range(3)))
    taken = [next(inputs)]
    signal.raise_signal(signal.SIGTERM)
    taken += inputs
    assert numbers(taken) == [0, 1, 2]
    assert loop.control.stopping
    with pytest.raises(SystemExit, match="143"):  # not 0, which is for those whose work is done
        loop.end()
    assert hub.taken(WATCH, Pose3D) == []
    assert signal.alarm(0) > 0, "nothing would end a worker that hangs"


def test_ctrl_c_is_left_to_the_supervisor(signals: None) -> None:
    loop = Loop(TestBus(a_hub(), "lift"))
    loop.on_signals()
    signal.raise_signal(signal.SIGINT)
    assert not loop.control.stopping


def test_only_sigterm_gives_up_waiting_for_room(signals: None) -> None:
    """Told to stop in order, a worker still delivers what it has; the supervisor's patience ends that, not the worker's."""
    hub = a_hub("file")
    bus = TestBus(hub, "lift")
    loop = Loop(bus)
    loop.on_signals()
    bus.while_full = [lambda: bus._control.append(Control("stop")), *[lambda: None] * 9]
    loop.send(a_pose3d(0), after=a_pose2d(0))
    assert loop.control.stopping and not bus.while_full
    bus.while_full = [lambda: None, lambda: signal.raise_signal(signal.SIGTERM), lambda: pytest.fail("goes on waiting")]
    loop.send(a_pose3d(1), after=a_pose2d(1))


@pytest.fixture
def nothing_within_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method of a loop fails where it is called while it runs, and every one of a bus while any of them runs."""

    def guard(kind: type, name: str, method: Callable[..., Any], running: set[str], alone: bool) -> None:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            assert not running.intersection(running if alone else {name}), f"{kind.__name__}.{name} within {running}"
            running.add(name)
            try:
                return method(*args, **kwargs)
            finally:
                running.discard(name)

        monkeypatch.setattr(kind, name, guarded)

    for kind, alone in ((Loop, False), (ControlPlane, False), (MemoryBus, True)):
        running: set[str] = set()
        for name, method in list(vars(kind).items()):
            if isinstance(method, FunctionType) and name != "__init__":
                guard(kind, name, method, running, alone)


def test_while_a_full_queue_makes_it_wait_orders_are_heard_and_health_is_said(
    nothing_within_itself: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, now_ns = a_hub("file"), 10**18

    def a_second_passes() -> None:
        nonlocal now_ns
        now_ns += 10**9

    monkeypatch.setattr("poselift.app.processes.loop.time.monotonic_ns", lambda: now_ns)
    bus = TestBus(hub, "detect")
    loop = Loop(bus)
    say(hub, "capture", a_frame(0), a_frame(1), End("capture", 2, ""))
    for message in loop.inputs():
        if isinstance(message, Frame):
            bus.while_full = [lambda: bus._control.append(Control("status")), a_second_passes, a_second_passes]
            loop.send(a_pose2d(message.frame), after=message)
            assert not bus.while_full
    bus.while_full = [lambda: bus._control.append(Control("stop")), a_second_passes]
    loop.end()
    assert [answer.text for answer in hub.answers] == ["running", "running", "stopping"]
    assert [health.state for health in hub.taken(WATCH, Health) if isinstance(health, Health)] == [
        *["waiting"] * 3,
        *["running", "waiting"],
        *["ending"] * 2,
    ]
    assert numbers(hub.taken("lift", Pose2D)) == [0, 1]


def test_an_order_of_the_workers_own_comes_to_it_behind_what_was_sent_before(nothing_within_itself: None) -> None:
    hub = a_hub("file")
    bus = TestBus(hub, "lift")
    loop, taken = Loop(bus, commands=["dance"]), []
    say(hub, "detect", *map(a_pose2d, range(4)))
    for message in loop.inputs():
        taken.append(message.frame if isinstance(message, Pose2D) else message)
        if isinstance(message, Pose2D):
            bus.while_full = [lambda: bus._control.append(Control("dance"))] if message.frame == 1 else []
            loop.send(a_pose3d(message.frame), after=message)
        else:
            assert hub.answers == []
            loop.answer(Answer(True, "dancing"))
            bus._control.append(Control("stop"))
    loop.end()
    assert taken == [0, 1, 2, 3, Control("dance")]
    assert hub.answers == [Answer(True, "dancing"), Answer(True, "stopping")]


def test_an_order_that_the_worker_does_not_come_to_is_refused() -> None:
    hub = a_hub()
    bus = TestBus(hub, "lift")
    loop = Loop(bus, commands=["dance"])
    bus._control.append(Control("dance"))
    loop.turn()
    bus.while_full = [lambda: bus._control.append(Control("dance"))]
    loop.end()
    assert hub.answers == [Answer(False, "lift is ending")] * 2


def test_what_is_sent_is_stamped() -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "detect"))
    say(hub, "capture", a_frame(3), End("capture", 4, ""))
    for message in loop.inputs():
        if isinstance(message, Frame):
            loop.send(a_pose2d(3, incarnation=0), after=message)
    (pose,) = hub.taken("lift", Pose2D)
    assert isinstance(pose, Pose2D)
    assert pose.incarnation == loop.incarnation != 0
    assert [stamp.stage for stamp in pose.trace] == ["capture", "detect"]
    assert pose.trace[0] == Stamp("capture", 5, 6)
    assert 6 < pose.trace[1].received_ns <= pose.trace[1].done_ns
    assert loop.meter.report("running", 1).age_p50_ms > 1


def test_capture_stamps_when_its_picture_came() -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "capture"))
    loop.send(a_frame(0, incarnation=0))
    (frame,) = hub.taken("detect", Frame)
    assert isinstance(frame, Frame)
    (stamp,) = frame.trace
    assert (stamp.stage, stamp.received_ns) == ("capture", 5) and stamp.done_ns > 6
    assert frame.incarnation == loop.incarnation


def test_two_loops_are_two_incarnations() -> None:
    assert Loop(TestBus(a_hub(), "lift")).incarnation != Loop(TestBus(a_hub(), "lift")).incarnation


def test_what_is_left_out_is_declared_once() -> None:
    hub = a_hub("file")
    loop = Loop(TestBus(hub, "detect"))
    say(hub, "capture", a_frame(0), a_frame(1), a_frame(4), a_frame(5), End("capture", 6, ""))
    for message in loop.inputs():
        if isinstance(message, Frame):
            if message.frame == 1:
                loop.skip(OVERWRITTEN)
            else:
                loop.send(a_pose2d(message.frame), after=message)
    declared = [pose.skipped for pose in hub.taken("lift", Pose2D) if isinstance(pose, Pose2D)]
    assert declared == [{}, {OVERWRITTEN: 1, QUEUE_FULL: 2}, {}]
    assert loop.meter.drops == {OVERWRITTEN: 1, QUEUE_FULL: 2}


def test_what_the_sender_declared_is_passed_on_with_what_was_lost_here() -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "lift"))
    say(hub, "detect", a_pose2d(0), a_pose2d(5, newer_frame=2), a_pose2d(8, incarnation=2), End("detect", 9, ""))
    for message in loop.inputs():
        if isinstance(message, Pose2D):
            loop.send(a_pose3d(message.frame), after=message)
    declared = [pose.skipped for pose in hub.taken("record", Pose3D) if isinstance(pose, Pose3D)]
    assert declared == [{}, {NEWER_FRAME: 2, QUEUE_FULL: 2}, {WORKER_DIED: 2}]
    assert loop.meter.drops == {QUEUE_FULL: 2, WORKER_DIED: 2}, "what another left out is that one's drop"


def test_pictures_that_the_source_lost_are_counted_with_their_reason_by_all_behind() -> None:
    hub = a_hub("file")
    capture, tally = Loop(TestBus(hub, "capture")), Tally()
    capture.skip(DAMAGED, 2)
    capture.send(a_frame(2))
    capture.send(a_frame(3))
    capture.skip(DAMAGED)
    capture.outgoing.frames = 5
    capture.end()
    for worker, answer in (("detect", a_pose2d), ("lift", a_pose3d)):
        loop = Loop(TestBus(hub, worker))
        for message in loop.inputs():
            if isinstance(message, (Frame, Pose2D)):
                loop.send(answer(message.frame), after=message)
        loop.end()
        assert loop.meter.drops == {}
    for message in hub.taken(WATCH, Pose3D):
        tally.add(message)
    tally.finish()
    assert (tally.captured, tally.lifted, tally.dropped) == (5, 2, {DAMAGED: 3})
    assert capture.meter.drops == {DAMAGED: 3}


def test_what_a_frame_declares_that_is_passed_over_keeps_its_reason() -> None:
    hub = a_hub("live")
    loop = Loop(TestBus(hub, "detect"))
    inputs = loop.inputs()
    say(hub, "capture", a_frame(0))
    next(inputs)
    say(hub, "capture", replace(a_frame(3), skipped={DAMAGED: 2}), a_frame(4), replace(a_frame(6), skipped={DAMAGED: 1}))
    next(inputs)
    loop.send(a_pose2d(6), after=a_frame(6))
    (pose,) = hub.taken("lift", Pose2D)
    assert isinstance(pose, Pose2D) and pose.skipped == {DAMAGED: 3, NEWER_FRAME: 2}
    assert loop.meter.drops == {NEWER_FRAME: 2}


def test_a_taker_without_room_is_named() -> None:
    bus = TestBus(a_hub(), "detect")
    bus.refuses = lambda: True
    loop = Loop(bus)
    assert loop.send(a_pose2d(0), after=a_frame(0)) == ("somebody",)
    assert loop.meter.drops == {"queue_full:somebody": 1}


def test_the_end_carries_frames_and_warnings_from_worker_to_worker() -> None:
    hub = a_hub()
    say(hub, "capture", a_frame(0), End("capture", 9, "the video is cut short"))
    for worker in ("detect", "lift"):
        loop = Loop(TestBus(hub, worker))
        for message in loop.inputs():
            if isinstance(message, (Frame, Pose2D)):
                loop.send(a_pose2d(0) if worker == "detect" else a_pose3d(0), after=message)
        loop.outgoing.notes += [f"{worker} has something to say"] if worker == "lift" else []
        loop.end()
    end = hub.taken(WATCH, Pose3D)[-1]
    assert end == End("lift", 9, "the video is cut short; lift has something to say")
    assert numbers(list(Loop(TestBus(hub, "record")).inputs())) == [0, 0, 0]


def test_it_says_how_it_is_at_once_and_last_before_its_end() -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "lift"))
    loop.turn()
    loop.turn()
    assert len(hub.taken(WATCH, Health)) == 1
    loop.end()
    (last,) = hub.taken(WATCH, Health)
    assert isinstance(last, Health) and (last.worker, last.state) == ("lift", "ending")


def test_it_says_how_it_is_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = a_hub()
    loop = Loop(TestBus(hub, "lift"))
    now_ns = 10**18
    monkeypatch.setattr("poselift.app.processes.loop.time.monotonic_ns", lambda: now_ns)
    loop.turn()
    for now_ns in range(10**18, 10**18 + 10**10, 10**8):  # noqa: B007, read by the lambda
        loop.turn()
    assert len(hub.taken(WATCH, Health)) == 10


def test_orders_are_answered() -> None:
    hub = a_hub()
    bus = TestBus(hub, "lift")
    loop = Loop(bus)
    bus._control.extend(map(Control, ("status", "dance", "status")))
    loop.turn()
    loop.turn()
    first, unknown, second = hub.answers
    assert (first.ok, unknown.ok, second.ok) == (True, False, True)
    assert unknown.text == "lift knows no order 'dance'; it knows: stop, status"
    assert not loop.control.stopping


def test_what_was_sent_after_an_order_comes_after_it() -> None:
    hub = a_hub()
    bus = TestBus(hub, "lift")
    loop = Loop(bus, commands=["dance"])
    late = replace(a_pose2d(3), trace=(Stamp("capture", 5, 2**62),))
    say(hub, "detect", *map(a_pose2d, range(3)), late, a_pose2d(4), End("detect", 5, ""))
    inputs = loop.inputs()
    taken = [next(inputs)]
    bus._control.append(Control("dance"))
    for message in inputs:
        taken.append(message)
        if isinstance(message, Control):
            loop.answer(Answer(True, ""))
    kinds = [type(message) for message in taken]
    assert numbers(taken) == [0, 1, 2, 3, 4] and kinds.index(Control) == 4, "the first that is sent later ends the wait"


def test_waiting_for_takers() -> None:
    bus = TestBus(a_hub(), "capture")
    loop = Loop(bus)
    assert loop.wait_for_takers(60) == set()
    bus.present = frozenset({"detect"})
    assert loop.wait_for_takers(0) == {"record"}, "who only looks on is not waited for"
    bus._control.append(Control("stop"))
    assert loop.wait_for_takers(3600) == {"record"}


def test_record_is_deaf_to_what_it_cannot_number() -> None:
    """Messages without a frame number are handed on as they are."""
    hub = a_hub()
    loop = Loop(TestBus(hub, "record"))
    say(hub, "lift", loop.meter.report("running", 1))
    for sender in ("capture", "detect", "lift"):
        say(hub, sender, End(sender, 0, ""))
    assert [type(message) for message in loop.inputs()].count(Health) == 1
    assert loop.meter.drops == {}
    loop.done(End("x", 0, ""))
    assert loop.meter.report("running", 2).messages == 0


class Player:
    """One worker of a whole pipeline, played message by message."""

    def __init__(self, hub: MemoryHub, worker: str, lost: Chance) -> None:
        self.bus = TestBus(hub, worker)
        self.bus.refuses = self._lost = lost
        self.loop = Loop(self.bus)
        self._inputs = self.loop.inputs()

    def step(self) -> bool:
        """Deal with one message, if one waits, or with all that is left; whether the stream has ended."""
        waiting = [decode(data) for queue in self._queues() for data in queue]
        ending = any(isinstance(message, End) for message in waiting)
        for message in self._inputs if ending else [next(self._inputs)] if waiting else []:
            if isinstance(message, Frame) and self._lost():
                self.loop.skip(OVERWRITTEN)
            elif isinstance(message, Frame):
                self.loop.send(a_pose2d(message.frame), after=message)
            elif isinstance(message, Pose2D):
                self.loop.send(a_pose3d(message.frame), after=message)
        if ending:
            self.loop.end()
        return ending

    def die(self) -> None:
        """What waits for a worker dies with it, but for an End: nobody dies after that here."""
        for queue in self._queues():
            ends = [data for data in queue if isinstance(decode(data), End)]
            queue.clear()
            queue.extend(ends)

    def _queues(self) -> list[deque[bytes]]:
        return [queue for link, queue in self.bus.hub.queues.items() if link.taker == self.bus.worker]


def play(seed: int, frames: int, losses: float, deaths: float) -> Tally:
    rng = np.random.default_rng(seed)
    hub, tally, number = a_hub("live", ("capture", "detect", "lift")), Tally(), 0

    def chance(likely: float) -> bool:
        return bool(rng.random() < likely)

    def player(worker: str) -> Player:
        return Player(hub, worker, lambda: chance(losses))

    capture, players = player("capture").loop, {worker: player(worker) for worker in ("detect", "lift")}
    while players:
        turn = str(rng.choice(["capture", *players]))
        if turn == "capture" and number < frames:
            if chance(deaths):
                capture = player("capture").loop
            if not chance(deaths):  # else it died between numbering and sending
                capture.send(a_frame(number))
            number += 1
            capture.outgoing.frames = number
        elif turn == "capture" and number == frames:
            capture.end()
            number += 1
        elif turn != "capture" and chance(deaths):
            players[turn].die()
            players[turn] = player(turn)
        elif turn != "capture" and players[turn].step():
            del players[turn]
    for message in hub.taken(WATCH, Pose3D):
        tally.add(message)
    tally.finish()
    return tally


@pytest.mark.parametrize("deaths", [0.0, 0.1])
@pytest.mark.parametrize("losses", [0.0, 0.2])
def test_every_captured_frame_is_lifted_or_counted(losses: float, deaths: float) -> None:
    """Frames come faster and slower than they are dealt with, queues are full, pictures are overwritten, workers die."""
    reasons: set[str] = set()
    for seed in range(15):
        tally = play(seed, 40, losses, deaths)
        assert tally.captured == 40
        assert 0 < tally.lifted == 40 - sum(tally.dropped.values())
        reasons |= set(tally.dropped)
    expected = {NEWER_FRAME, NOT_READY} | ({OVERWRITTEN, QUEUE_FULL} if losses else set()) | ({WORKER_DIED} if deaths else set())
    assert reasons - expected <= ({WORKER_DIED} if losses else set()), "what is lost at the very end counts as died"
    assert expected <= reasons
