"""What is told to a service manager, over its socket; and when its watchdog is fed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from poselift.app.dataflow.health import Meter
from poselift.app.dataflow.messages import Health
from poselift.app.processes.notify import FEED_EVERY_NS, ServiceManager, Watchdog, status_line
from poselift.app.processes.process import SUPERVISOR

S = 1_000_000_000


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request: pytest.FixtureRequest, runtime_folder: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end of its socket, and the value of NOTIFY_SOCKET."""
    address = str(runtime_folder / "notify") if request.param == "a path" else f"@{runtime_folder.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(address.replace("@", "\0"))
        end.setblocking(False)
        yield end, address


def test_each_word_is_a_datagram_of_lines(listener: tuple[socket.socket, str]) -> None:
    end, address = listener
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    assert manager.here
    manager.tell(READY="1", STATUS="two\nlines  of\x0bnote")
    assert end.recv(1000) == b"READY=1\nSTATUS=two lines of note"


def test_without_a_service_manager_nothing_happens(listener: tuple[socket.socket, str]) -> None:
    end, address = listener
    for environment in (
        {},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": address, SUPERVISOR: "1", "WATCHDOG_USEC": "9"},
    ):
        manager = ServiceManager(environment)
        assert not manager.here
        manager.tell(READY="1")
        manager.feed(1)
    with pytest.raises(BlockingIOError):
        end.recv(1000)


def test_one_that_does_not_listen_stops_nobody(listener: tuple[socket.socket, str]) -> None:
    end, address = listener
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    for _ in range(10_000):  # its queue is full long before
        manager.tell(STATUS="x")
    end.close()
    manager.tell(STATUS="x")


@pytest.mark.parametrize(("whose", "fed"), [("not said", True), ("this process", True), ("another", False)])
def test_the_watchdog_is_fed_by_the_process_it_is_for(listener: tuple[socket.socket, str], whose: str, fed: bool) -> None:
    end, address = listener
    pid = {"not said": {}, "this process": {"WATCHDOG_PID": str(os.getpid())}, "another": {"WATCHDOG_PID": "1"}}[whose]
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5000000", **pid})
    manager.feed(S)
    if fed:
        assert end.recv(1000) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        end.recv(1000)


def test_no_watchdog_no_food() -> None:
    assert not any(Watchdog(0).feed(now_ns) for now_ns in range(0, 100 * S, S))


@pytest.mark.parametrize(("period_ns", "every_ns"), [(S, S // 4), (30 * S, FEED_EVERY_NS)])
def test_it_is_fed_well_within_its_period_and_no_oftener(period_ns: int, every_ns: int) -> None:
    watchdog = Watchdog(period_ns)
    fed = [now_ns for now_ns in range(0, 100 * every_ns, every_ns // 10) if watchdog.feed(now_ns)]
    assert fed == list(range(0, 100 * every_ns, every_ns))


def test_a_worker_that_answers_nothing_is_not_fed() -> None:
    watchdog = Watchdog(20 * S)
    watchdog.accepted(5 * S)
    for second in range(5, 15):
        watchdog.accepted(second * S)  # what comes later does not excuse the first
        assert watchdog.feed(second * S)
    assert not any(watchdog.feed(second * S) for second in range(15, 100))
    watchdog.answered()
    assert watchdog.feed(100 * S)


def test_who_has_nothing_to_do_and_who_answers_is_fed() -> None:
    idle, busy = Watchdog(20 * S), Watchdog(20 * S)
    for second in range(100):
        assert idle.feed(second * S)
        busy.accepted(second * S)
        assert busy.feed(second * S + S // 2)
        busy.answered()


def test_a_status_for_people() -> None:
    meter = Meter("lift", 1, 0)
    meter.note = "half of it"
    assert status_line(meter.report("running", S)) == "waiting, 0.0 /s; half of it"
    for _ in range(30):
        meter.done(12_500_000)
    meter.drop({"newer_frame": 3, "overwritten": 1})
    health = meter.report("running", 2 * S)
    assert isinstance(health, Health)
    assert status_line(health) == "running, 30.0 /s, age 12.5 ms (p95 12.5); dropped 3 newer_frame, 1 overwritten; half of it"
    meter.recording = "session.mcap"
    assert status_line(meter.report("running", 3 * S)).endswith("1 overwritten; recording session.mcap; half of it")
