"""The bus between processes, on real sockets: who gets what, who waits, and what happens when somebody dies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from patience import PATIENCE_S

import poselift.app.dataflow.zmq_bus
from poselift.app.dataflow.bus_clients import Subscriber, order
from poselift.app.dataflow.ledger import DAMAGED
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Message, Pose2D, Pose3D, encode
from poselift.app.dataflow.sockets import AT_ONCE, MAX_PATH, subscribe
from poselift.app.dataflow.streams import WATCH, links
from poselift.app.dataflow.streams import WORKERS as TABLE
from poselift.app.dataflow.zmq_bus import HEAD_START_S, ZmqBus
from poselift.app.processes.loop import Loop
from poselift.common.errors import UserError

ROOT = Path(__file__).parents[2]
WORKERS = tuple(TABLE)
MANY = 2000
"""More messages than all buffers on the way hold."""

PEER = """
import sys
from pathlib import Path
from poselift.app.dataflow.zmq_bus import ZmqBus
from poselift.app.dataflow.messages import End
from poselift.app.dataflow.streams import WORKERS, links
folder, worker, mode = sys.argv[1:]
bus = ZmqBus(Path(folder), worker, links(mode, WORKERS), 16, mode == "file")
bus.listen()
print("ready", flush=True)
sys.stdin.read()
"""

Connect = Callable[..., ZmqBus]


def a_frame(number: int) -> Frame:
    return Frame(number, number, 64, 48, 30.0, 0, 0, 0, "ring", b"", 1, ())


def a_pose2d(number: int) -> Pose2D:
    return Pose2D(number, number, 64, 48, np.zeros(1), np.zeros((1, 21, 3)))


def a_pose3d(number: int) -> Pose3D:
    joints, flags = np.zeros((0, 21, 3)), np.zeros(0)
    return Pose3D(
        number, number, 64, 48, flags, joints, joints, joints, np.zeros((0, 3)), np.zeros((0, 21)), np.zeros((0, 4)), flags, flags
    )


def a_health(worker: str) -> Health:
    return Health(worker, 1, 1, 1, "running", "", 0, 0.0, 0.0, 0.0, {}, 0)


def patiently(bus: ZmqBus, message: Message, look: Callable[[], Any] = lambda: None) -> tuple[str, ...]:
    """Wait for room and send, as a loop does; `look` between two looks for room."""
    until = time.monotonic() + PATIENCE_S
    while not bus.room(message, 0.01):
        look()
        assert time.monotonic() < until, "waited in vain"
    return bus.send(message)


def eventually(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.002)


def taken(bus: Any, enough: Callable[[list[Message]], bool]) -> list[Message]:
    messages: list[Message] = []
    until = time.monotonic() + PATIENCE_S
    while not enough(messages):
        assert time.monotonic() < until, f"in vain waited for more than {len(messages)} messages"
        messages += bus.receive(0.1)
    return messages


def ended(messages: list[Message]) -> bool:
    return any(isinstance(message, End) for message in messages)


def frames(messages: list[Message]) -> list[int]:
    return [message.frame for message in messages if isinstance(message, (Frame, Pose2D, Pose3D))]


@pytest.fixture
def connect(runtime_folder: Path) -> Iterator[Connect]:
    """A worker's end of the bus; takers are closed before their senders, who would else wait for them."""
    open_ends: list[ZmqBus] = []

    def connect(worker: str, mode: str = "live", workers: tuple[str, ...] = WORKERS[:3], queue: int = 16, listen: bool = True) -> ZmqBus:
        bus = ZmqBus(runtime_folder, worker, links(mode, workers), queue, blocking=mode == "file")
        open_ends.append(bus)
        if listen:
            bus.listen()
        return bus

    yield connect
    for bus in sorted(open_ends, key=lambda bus: -WORKERS.index(bus.worker)):
        bus.close()


@pytest.fixture
def spawn(runtime_folder: Path) -> Iterator[Callable[[str, str], subprocess.Popen[str]]]:
    """A worker's end in a process of its own, that does nothing."""
    peers: list[subprocess.Popen[str]] = []

    def spawn(worker: str, mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PEER, str(runtime_folder), worker, mode]
        peer = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        peers.append(peer)
        assert peer.stdout is not None and peer.stdout.readline() == "ready\n"
        return peer

    yield spawn
    for peer in peers:
        peer.kill()
        peer.communicate()


def test_live_the_newest_frame_is_taken_and_the_end_behind_it(connect: Connect) -> None:
    capture, detect = connect("capture"), connect("detect")
    eventually(lambda: "detect" in capture.takers())
    for number in range(MANY // 4):
        assert capture.send(replace(a_frame(number), skipped={DAMAGED: 1})) == ()
    capture.send(End("capture", MANY // 4, ""))
    messages = taken(detect, ended)
    assert sum(message.skipped[DAMAGED] for message in messages if isinstance(message, Frame)) == MANY // 4
    assert frames(messages)[-1] == MANY // 4 - 1
    assert frames(messages) == sorted(set(frames(messages)))
    assert len(messages) < MANY // 8, "it was not drained to the newest"
    assert [type(message) for message in messages].index(End) == len(messages) - 1


def test_live_a_frame_that_comes_later_is_taken_later(connect: Connect) -> None:
    capture, detect = connect("capture"), connect("detect")
    eventually(lambda: "detect" in capture.takers())
    for number in range(3):
        capture.send(a_frame(number))
        assert frames(taken(detect, bool)) == [number]
    assert detect.receive(0) == []


def test_from_a_file_a_full_queue_blocks_and_nothing_is_lost(connect: Connect) -> None:
    detect, lift = connect("detect", "file", queue=4), connect("lift", "file", queue=4)
    blocked, refused, sent = threading.Event(), [], []

    def send() -> None:
        for number in range(MANY):
            refused.extend(patiently(detect, a_pose2d(number), blocked.set))
            sent.append(number)
        refused.extend(patiently(detect, End("detect", MANY, "")))

    sender = threading.Thread(target=send, daemon=True)
    eventually(lambda: "lift" in detect.takers())
    sender.start()
    assert blocked.wait(PATIENCE_S), "the sender never waits"
    assert len(sent) < MANY
    messages = taken(lift, ended)
    sender.join(PATIENCE_S)
    assert frames(messages) == list(range(MANY))
    assert isinstance(messages[-1], End)
    assert refused == []


def test_what_waits_comes_several_at_a_time_and_in_order(connect: Connect) -> None:
    detect, lift = connect("detect", "file", queue=200), connect("lift", "file", queue=200)
    for number in range(100):
        patiently(detect, a_pose2d(number))
    batches: list[list[Message]] = []
    while sum(map(len, batches)) < 100:
        batches.append(lift.receive(PATIENCE_S))
    assert [message.frame for batch in batches for message in batch] == list(range(100))
    assert 1 < max(map(len, batches)) <= 64


def test_who_rests_leaves_alone_what_comes_until_what_it_hurries_for_is_there(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    lift, record = connect("lift", workers=WORKERS[:4]), connect("record", workers=WORKERS[:4])
    eventually(lambda: "record" in lift.takers())
    eventually(lambda: [lift.send(a_health("lift")), *record.receive(0.01)][1:])  # a feed, whose takers are not waited for
    slept: list[float] = []
    monkeypatch.setattr(poselift.app.dataflow.zmq_bus.time, "sleep", slept.append)
    lift.send(a_health("lift"))
    record.rest(0.05, (Pose3D,))
    assert slept == [], "nothing that ends the rest came"
    lift.send(a_pose3d(1))
    record.rest(PATIENCE_S * 1000, (Pose3D,))
    assert slept == [HEAD_START_S], "those in a hurry have it first"
    record.rest(12.5, ())
    assert slept == [HEAD_START_S, 12.5]
    monkeypatch.undo()
    taken(record, lambda messages: {type(message) for message in messages} == {Health, Pose3D})  # what came meanwhile, afterwards


def test_where_nobody_lifts_the_pose_in_the_picture_ends_the_rest(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = ("capture", "detect", "record")
    detect, record = connect("detect", workers=workers), connect("record", workers=workers)
    eventually(lambda: "record" in detect.takers())
    slept: list[float] = []
    monkeypatch.setattr(poselift.app.dataflow.zmq_bus.time, "sleep", slept.append)
    detect.send(a_pose2d(1))
    record.rest(PATIENCE_S * 1000, (Pose3D, Pose2D))
    assert slept == [HEAD_START_S]


def test_live_a_full_queue_drops_and_names_the_taker(connect: Connect) -> None:
    detect, lift = connect("detect", queue=4), connect("lift", queue=4)
    eventually(lambda: "lift" in detect.takers())
    accepted: list[int] = []
    refusals = 0
    for number in range(MANY):
        assert detect.room(a_pose2d(number), PATIENCE_S * 1000), "waits for room, live"
        refused = detect.send(a_pose2d(number))
        assert refused in ((), ("lift",))
        refusals += len(refused)
        accepted += [] if refused else [number]
    assert refusals > 0 and accepted
    assert frames(taken(lift, lambda messages: len(messages) == len(accepted))) == accepted
    eventually(lambda: detect.send(a_pose2d(MANY)) == ())
    assert frames(taken(lift, bool))[-1] == MANY


def test_live_nobody_there_is_no_room(connect: Connect) -> None:
    assert connect("detect").send(a_pose2d(0)) == ("lift",)


def test_from_a_file_one_that_has_not_come_yet_is_waited_for(connect: Connect) -> None:
    detect = connect("detect", "file")
    assert not detect.room(a_pose2d(0), 0.01)
    assert detect.send(a_pose2d(0)) == ("lift",), "who does not wait may lose it"


def test_a_taker_that_is_killed_is_missed_and_a_new_one_is_seen(connect: Connect, spawn: Any) -> None:
    capture = connect("capture", workers=WORKERS)
    assert capture.takers() == frozenset()
    for _ in range(2):
        detect, record = spawn("detect", "live"), spawn("record", "live")
        eventually(lambda: capture.takers() == {"detect", "record"})
        detect.kill()
        eventually(lambda: capture.takers() == {"record"})
        record.kill()
        eventually(lambda: capture.takers() == frozenset())


def test_a_killed_taker_takes_its_queue_along_and_the_next_one_gets_what_comes_then(connect: Connect, spawn: Any) -> None:
    detect, first = connect("detect", workers=WORKERS[:3]), spawn("lift", "live")
    eventually(lambda: "lift" in detect.takers())
    eventually(lambda: detect.send(a_pose2d(0)) == ())
    first.kill()
    eventually(lambda: detect.send(a_pose2d(1)) == ("lift",))
    lift = connect("lift")
    eventually(lambda: detect.send(a_pose2d(2)) == ())
    assert set(frames(taken(lift, bool))) == {2}


def test_a_sender_that_waits_notices_that_its_taker_was_killed(connect: Connect, spawn: Any) -> None:
    """From a file; the run ends then, and nobody should have to kill the sender too."""
    detect, lift = connect("detect", "file"), spawn("lift", "file")
    eventually(lambda: "lift" in detect.takers())
    kills: list[None] = []
    outcome: tuple[str, ...] = ()
    for number in range(MANY):
        outcome = patiently(detect, a_pose2d(number), lambda: kills.append(lift.kill()))
        if outcome:
            break
    assert kills and outcome == ("lift",)
    assert detect.room(a_pose2d(MANY), PATIENCE_S * 1000), "waits for the dead"
    assert detect.send(a_pose2d(MANY)) == ("lift",)


def test_somebody_who_hears_a_part_only_is_no_taker_yet(connect: Connect, runtime_folder: Path) -> None:
    capture = connect("capture", workers=WORKERS)
    with zmq.Context() as context:
        health = subscribe(context, f"ipc://{runtime_folder}/capture.Health", b"", "record")
        watch = subscribe(context, f"ipc://{runtime_folder}/capture.Health", b"", WATCH)
        eventually(lambda: WATCH in capture.takers())
        eventually(lambda: capture.takers() and (Health, "record") in capture._announced)
        assert capture.takers() == {WATCH}
        frame = subscribe(context, f"ipc://{runtime_folder}/capture.Frame", None, "record")
        eventually(lambda: "record" in capture.takers())
        for socket in (health, watch, frame):
            socket.close(linger=0)
    eventually(lambda: capture.takers() == frozenset())


def test_a_killed_senders_sockets_do_not_prevent_its_return(connect: Connect, spawn: Any, runtime_folder: Path) -> None:
    first, lift = spawn("detect", "live"), connect("lift", workers=WORKERS)
    first.kill()
    first.wait()
    assert (runtime_folder / "detect.Pose2D.lift").is_socket()
    detect = connect("detect", workers=WORKERS)
    eventually(lambda: not lift.receive(0) and "lift" in detect.takers())  # who is back is told in the taker's own turn
    eventually(lambda: "lift" not in detect.send(a_pose2d(5)))
    assert frames(taken(lift, bool)) == [5]


@pytest.mark.parametrize("mode", ["live", "file"])
def test_everybody_hears_the_end_of_all_its_senders(connect: Connect, runtime_folder: Path, mode: str) -> None:
    ends = {worker: connect(worker, mode, WORKERS) for worker in WORKERS}
    watch = Subscriber(runtime_folder, tuple(link for link in links(mode, WORKERS) if link.taker == WATCH))
    try:
        for worker, bus in ends.items():
            wanted = {link.taker for link in links(mode, WORKERS) if link.sender == worker}
            eventually(lambda bus=bus, wanted=wanted: bus.takers() == wanted)
        for worker in WORKERS:
            assert ends[worker].send(End(worker, 3, "")) == ()
        for taker in (*WORKERS[1:], WATCH):
            senders = {link.sender for link in links(mode, WORKERS) if link.taker == taker and link.message is not Health}
            end = watch if taker == WATCH else ends[taker]
            heard = taken(end, lambda messages, senders=senders: {message.sender for message in messages} >= senders)
            assert {message.sender for message in heard} == senders
    finally:
        watch.close()


@pytest.mark.parametrize("mode", ["live", "file"])
def test_a_worker_that_leaves_takes_nothing_along(connect: Connect, runtime_folder: Path, mode: str) -> None:
    """Of a sender that is gone, libzmq throws away what the full queue of a slow taker has not let in yet."""
    lift = connect("lift", mode, queue=4)
    loop = Loop(ZmqBus(runtime_folder, "detect", links(mode, WORKERS[:3]), 4, blocking=mode == "file"))
    assert loop.wait_for_takers(PATIENCE_S) == set()
    eventually(lambda: not loop.bus.send(a_pose2d(0)))
    accepted = [0]
    while not loop.bus.send(a_pose2d(len(accepted))):
        accepted.append(len(accepted))
    leaving = threading.Thread(target=loop.end, daemon=True)
    leaving.start()
    messages = taken(lift, ended)
    assert frames(messages) == accepted and isinstance(messages[-1], End)
    leaving.join(PATIENCE_S)
    assert not leaving.is_alive()


def test_a_worker_does_not_wait_for_those_who_died(connect: Connect, runtime_folder: Path, spawn: Any) -> None:
    lift = spawn("lift", "live")
    loop = Loop(ZmqBus(runtime_folder, "detect", links("live", WORKERS[:3]), 4, blocking=False))
    assert loop.wait_for_takers(PATIENCE_S) == set()
    while not loop.bus.send(a_pose2d(0)):
        pass
    leaving = threading.Thread(target=loop.end, daemon=True)
    leaving.start()
    lift.kill()
    leaving.join(PATIENCE_S)
    assert not leaving.is_alive()


def test_whoever_watches_gets_all_as_it_comes(connect: Connect, runtime_folder: Path) -> None:
    lift = connect("lift", workers=("lift",))
    watch = Subscriber(runtime_folder, tuple(link for link in links("live", ("lift",)) if link.taker == WATCH))
    try:
        eventually(lambda: lift.takers() and lift._announced == {(Pose3D, WATCH), (Health, WATCH)})
        for number in range(50):
            assert lift.send(a_pose3d(number)) == ()
        lift.send(a_health("lift"))
        messages = taken(watch, lambda messages: bool(lift.takers()) and len(messages) == 51)
        assert frames(messages) == list(range(50))
        assert [message.worker for message in messages if isinstance(message, Health)] == ["lift"]
    finally:
        watch.close()


def test_nobody_needs_to_take_what_a_worker_sends(connect: Connect) -> None:
    assert connect("capture", workers=("capture",)).send(a_frame(0)) == ()


def test_orders_are_answered_and_garbage_is_refused(connect: Connect, runtime_folder: Path) -> None:
    lift, left = connect("lift"), threading.Event()

    def work() -> None:
        while not left.is_set():
            lift.receive(0.05)
            for given in lift.orders():
                lift.answer(given, Answer(True, f"did {given.control.command}"))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.set(zmq.LINGER, 0)
            stranger.connect(f"ipc://{runtime_folder}/lift.Control")
            for garbage in (b"", b"\xc1", b"garbage", encode(a_frame(0)), encode(End("x", 0, ""))):
                stranger.send(garbage)
                assert stranger.poll(PATIENCE_S * 1000), "the worker does not answer"
                assert b"Answer" in stranger.recv()
            stranger.send_multipart([b"", b"many", b"parts"])
            assert stranger.poll(PATIENCE_S * 1000)
        assert order(runtime_folder, "lift", "dance", PATIENCE_S) == Answer(True, "did dance")
    finally:
        left.set()
        worker.join()


def test_an_order_to_nobody_has_no_answer(runtime_folder: Path) -> None:
    assert order(runtime_folder, "lift", "stop", 0.05) is None


def test_garbage_on_a_stream_is_left_out_and_said(connect: Connect, runtime_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    lift = connect("lift")
    with zmq.Context() as context, context.socket(zmq.PUSH) as stranger:
        stranger.set(zmq.LINGER, 0)
        stranger.bind(f"ipc://{runtime_folder}/detect.Pose2D.lift")
        stranger.send(b"garbage")
        stranger.send(encode(a_pose2d(4)))
        assert frames(taken(lift, bool)) == [4]
    assert [record.getMessage() for record in caplog.records] == ["a message was left out: not MessagePack: unpack(b) received extra data."]


def test_a_runtime_folder_that_is_too_long(runtime_folder: Path) -> None:
    longest = max(len(f"{link.sender}.{link.message.__name__}.{link.taker}") for link in links("live", WORKERS))
    for name, fits in (("x" * (MAX_PATH - len(str(runtime_folder)) - 2 - longest), True), ("ü" * 40, False), ("x" * 100, False)):
        folder = runtime_folder / name
        folder.mkdir()
        if fits:
            bus = ZmqBus(folder, "record", links("live", WORKERS), 16, blocking=False)
            bus.listen()
            bus.close()
        else:
            with pytest.raises(UserError, match="this runtime_folder is too long a path for sockets; set a shorter one"):
                ZmqBus(folder, "record", links("live", WORKERS), 16, blocking=False)
            with pytest.raises(UserError, match="too long"):
                order(folder / ("y" * 60), "lift", "stop", 0)


def test_a_socket_that_cannot_be_opened(runtime_folder: Path) -> None:
    (runtime_folder / "lift.Pose3D").mkdir()
    with pytest.raises(UserError, match=r"lift\.Pose3D: this socket cannot be opened"):
        ZmqBus(runtime_folder, "lift", links("live", ("lift",)), 16, blocking=False)


def test_who_orders_without_end_does_not_keep_a_worker_from_its_work(connect: Connect, runtime_folder: Path) -> None:
    lift = connect("lift")
    with zmq.Context() as context, context.socket(zmq.DEALER) as master:
        master.set(zmq.LINGER, 0)
        master.connect(f"ipc://{runtime_folder}/lift.Control")
        for _ in range(2 * AT_ONCE):
            master.send(encode(Control("status")))
        heard = 0

        def some() -> bool:
            nonlocal heard
            heard += (now := len(lift.orders()))
            assert now <= AT_ONCE, "it does nothing else any more"
            return heard == 2 * AT_ONCE

        eventually(some)
