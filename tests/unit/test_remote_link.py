"""Board and viewer over a made-up link, whatever its speed and however the viewer reads: poses stay fresh, nothing is lost uncounted."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poselift.app.config import ServeConfig
from poselift.app.dataflow.messages import Health, Pose2D, Pose3D, Stamp, encode
from poselift.app.dataflow.session import Session
from poselift.app.remote.client_protocol import ClientProtocol
from poselift.app.remote.congestion_window import MAX_BYTES
from poselift.app.remote.send_queue import MAX_PICTURES_IN_FLIGHT
from poselift.app.remote.sessions import Peer, ServerInfo, ViewerSessions
from poselift.app.remote.wire import Camera, Hello, Picture, Pong, Taken, Want, Welcome, from_board, from_viewer

S, MS = 10**9, 10**6
TICK_NS = 5 * MS
FRAME_NS = 33 * MS
INFO = ServerInfo("board", "0.1.0", (), Camera(640, 480, 30.0, 704.0, True, 1.7), Session(5, "boot", "board"))


def a_pose(kind: type, frame: int, now_ns: int, people: int) -> Any:
    arrays = {"person": np.arange(people), "keypoints": np.zeros((people, 21, 3), np.float32)}
    if kind is Pose3D:
        wide, flags = np.zeros((people, 21, 3), np.float32), np.zeros(people, bool)
        arrays |= {"joints_m": wide, "sigma_m": wide, "root_m": wide[:, 0], "confidence": wide[..., 0]}
        arrays |= {"contact": np.zeros((people, 4), bool), "warming": flags, "held": flags}
    return kind(frame, now_ns, 640, 480, **arrays, trace=(Stamp("capture", now_ns, now_ns),))


class Way:
    """One direction of a link: bytes leave at its speed, and arrive after its delay; how much it holds does not matter."""

    def __init__(self, bytes_per_s: float, delay_ns: int) -> None:
        self._bytes_per_s, self._delay_ns = bytes_per_s, delay_ns
        self._free_ns = 0
        self.under_way: deque[tuple[int, bytes]] = deque()

    def put(self, data: bytes, now_ns: int) -> bool:
        self._free_ns = max(self._free_ns, now_ns) + round(len(data) / self._bytes_per_s * S)
        self.under_way.append((self._free_ns + self._delay_ns, data))
        return True

    def arrived(self, now_ns: int) -> list[bytes]:
        found = []
        while self.under_way and self.under_way[0][0] <= now_ns:
            found.append(self.under_way.popleft()[1])
        return found


class World:
    """A board and one viewer, whose clock shows other times, stepped together."""

    def __init__(self, bytes_per_s: float, delay_ms: int, people: int = 1, jpeg_bytes: int = 20_000, clock_ns: int = 77 * S) -> None:
        self.sessions = ViewerSessions(ServeConfig(), INFO)
        self.viewer = ClientProtocol("board", Hello("0.1.0", "laptop", 1), 0)
        self.down, self.up = Way(bytes_per_s, delay_ms * MS), Way(bytes_per_s, delay_ms * MS)
        self.now_ns, self.clock_ns, self.frame = 10 * S, clock_ns, 0
        self.people, self.jpeg_bytes = people, jpeg_bytes
        self.published: Counter[str] = Counter()
        self.offered = 0
        self.got: list[tuple[int, Any]] = []
        self.begun: list[int] = []
        self.most_under_way = 0
        self._rng = random.Random(1)
        self._jpegs: dict[int, bytes] = {}

    def run(self, seconds: float, reads: Callable[[int], bool] = lambda _: True) -> None:
        until_ns = self.now_ns + round(seconds * S)
        while self.now_ns < until_ns:
            self.now_ns += TICK_NS
            if self.now_ns // FRAME_NS != (self.now_ns - TICK_NS) // FRAME_NS:
                self._publish()
            for data in self.up.arrived(self.now_ns):
                self._check_credit(from_viewer(data))
                self.sessions.receive(Peer(b"1", "", "", "127.0.0.1", True), data, self.now_ns)
            self.sessions.flush(self._send, self.now_ns)
            if reads(self.now_ns):
                self._read()

    def of(self, kind: type) -> list[Any]:
        return [message for _, message in self.got if isinstance(message, kind)]

    def ages_ms(self, since_ns: int, kind: type = Pose3D) -> list[float]:
        return [(at_ns - it.trace[0].received_ns) / MS for at_ns, it in self.got if isinstance(it, kind) and at_ns > since_ns]

    def queue(self) -> Any:
        (session,) = self.sessions.open.values()
        return session.queue

    def _publish(self) -> None:
        for kind in (Pose2D, Pose3D):
            self.sessions.publish(a_pose(kind, self.frame, self.now_ns, self.people))
            self.published[kind.__name__] += bool(self.sessions.open)
            self.sessions.flush(self._send, self.now_ns)
        if self.frame % 30 == 0:
            self.sessions.publish(Health("lift", 1, 2, self.now_ns, "running", "", 4, 30.0, 1.0, 2.0, {}, 5))
            self.published["Health"] += bool(self.sessions.open)
        trace = (Stamp("capture", self.now_ns, self.now_ns),)
        for size, queues in self.sessions.picture_requests(self.now_ns).items():
            jpeg = self._jpegs[self.frame] = self._rng.randbytes(self.jpeg_bytes)
            assert size.width_px == 640
            self.offered += 1
            for queue in queues:
                queue.put_picture(Picture(self.frame, self.now_ns, 640, 480, len(jpeg), 0, jpeg, trace))
        self.frame += 1

    def _send(self, peer: bytes, data: bytes) -> bool:
        message = from_board(data)
        if isinstance(message, Picture) and message.offset_bytes == 0:
            self.begun.append(message.frame)
            assert len(self.begun) - self._credited <= MAX_PICTURES_IN_FLIGHT
        self.down.put(data, self.now_ns)
        self.most_under_way = max(self.most_under_way, sum(len(data) for _, data in self.down.under_way))
        return True

    _credited = 0

    def _check_credit(self, message: Any) -> None:
        if isinstance(message, Taken):
            self._credited = max(self._credited, message.pictures)

    def _read(self) -> None:
        here_ns = self.now_ns + self.clock_ns
        for data in self.down.arrived(self.now_ns):
            message = self.viewer.receive(data, here_ns)
            if message is not None:
                self.got.append((self.now_ns, message))
            if isinstance(message, Picture):
                assert message.jpeg == self._jpegs[message.frame]
        for said in self.viewer.outgoing(here_ns):
            self.up.put(encode(said), self.now_ns)


LINKS = {"local": (1e9, 0), "wireless": (2e6, 3), "far": (1e6, 80), "256 kbit/s": (32e3, 10), "64 kbit/s": (8e3, 40)}


def check_everything(world: World) -> None:
    """What holds on any link: order, and an account of every message."""
    drops = world.queue().drops
    for kind in (Pose2D, Pose3D, Picture):
        frames = [message.frame for message in world.of(kind)]
        assert frames == sorted(set(frames)), kind
    on_way = Counter(type(from_board(data)).__name__ for _, data in world.down.under_way)
    for kind in (Pose2D, Pose3D, Health):
        name = kind.__name__
        gone = len(world.of(kind)) + on_way[name] + drops.get(f"no_room:{name}", 0)
        waiting = world.published[name] - gone
        assert 0 <= waiting <= 1, f"{name}: {waiting} are not accounted for"
    assert world.most_under_way < 2 * MAX_BYTES


@pytest.mark.parametrize("link", LINKS)
def test_poses_are_fresh_on_any_link(link: str) -> None:
    bytes_per_s, delay_ms = LINKS[link]
    world = World(bytes_per_s, delay_ms)
    world.viewer.request_pictures(Want(640, 80, 15.0))
    world.run(20)
    check_everything(world)
    ages_ms = world.ages_ms(since_ns=20 * S)
    piece_ms = 1400 / bytes_per_s * 1000
    assert np.percentile(ages_ms, 95) < delay_ms + 120 + 8 * piece_ms + TICK_NS / MS
    assert len(ages_ms) >= min(295, 0.25 * 10 / (piece_ms / 1000)), "poses get their part of the link"
    assert len(world.of(Picture)) >= 1, "pictures come too, when there is room"
    link_now = world.viewer.state(world.now_ns + world.clock_ns)
    assert link_now.connected and abs(link_now.offset_ns + world.clock_ns) <= link_now.offset_error_ns


@pytest.mark.parametrize("link", ["local", "wireless"])
def test_nothing_is_dropped_where_there_is_room(link: str) -> None:
    world = World(*LINKS[link], people=3)
    world.viewer.request_pictures(Want(640, 80, 15.0))
    world.run(10)
    assert world.queue().drops.keys() <= {"no_room:Picture"}
    assert world.queue().drops.get("no_room:Picture", 0) <= 5, "while the window opens"
    assert len(world.of(Picture)) > 0.95 * 15 * 9
    check_everything(world)


def test_a_viewer_that_reads_now_and_then_gets_new_poses_not_all() -> None:
    world = World(*LINKS["local"])
    world.run(30, reads=lambda now_ns: now_ns % (400 * MS) < TICK_NS)
    check_everything(world)
    newest = {at_ns: message.frame for at_ns, message in world.got if isinstance(message, Pose3D)}
    late_ms = [
        (at_ns - next(m.t_ns for t, m in world.got if isinstance(m, Pose3D) and m.frame == frame)) / MS for at_ns, frame in newest.items()
    ]
    assert np.median(late_ms) < 450


def test_a_frozen_viewer_is_sent_no_more_and_soon_sees_new_poses_when_it_wakes_up() -> None:
    world = World(*LINKS["wireless"])
    world.viewer.request_pictures(Want(640, 80, 15.0))
    world.run(5)
    before = world.down.under_way.copy()
    world.run(3, reads=lambda _: False)
    held = sum(len(data) for _, data in world.down.under_way) + sum(len(data) for _, data in before)
    assert held < 2 * MAX_BYTES
    assert world.queue().drops["no_room:Pose3D"] > 60
    woke_ns = world.now_ns
    world.run(1)
    first_new_ns = next(at_ns for at_ns, it in world.got if isinstance(it, Pose3D) and it.t_ns >= woke_ns)
    assert first_new_ns - woke_ns < 300 * MS
    check_everything(world)
    assert world.viewer.missed["no_room:Pose3D"] > 60, "and it knows what it missed"


def test_a_viewer_that_stays_frozen_is_forgotten_and_may_come_again() -> None:
    world = World(*LINKS["wireless"])
    world.run(2)
    world.run(6, reads=lambda _: False)
    world.sessions.close_silent(world.now_ns)
    assert not world.sessions.open and world.sessions.drops["no_room:laptop"] > 50
    here = len(world.of(Pose3D))
    world.run(5)
    assert len(world.of(Welcome)) == 2
    assert len(world.of(Pose3D)) - here > 80


def test_pictures_never_hold_up_poses() -> None:
    """Pictures that the link cannot carry: poses are as many and about as fresh as without."""
    found = {}
    for rate_hz in (0.0, 15.0):
        world = World(250e3, 5, jpeg_bytes=120_000)
        world.viewer.request_pictures(Want(640, 80, rate_hz))
        world.run(20)
        found[rate_hz] = world.ages_ms(since_ns=20 * S)
        check_everything(world)
    assert len(found[15.0]) > 0.9 * len(found[0.0])
    assert np.percentile(found[15.0], 95) < np.percentile(found[0.0], 95) + 150


def test_a_pong_answers_even_when_there_is_no_room() -> None:
    world = World(*LINKS["local"])
    world.run(1)
    queue = world.queue()
    for frame in range(10_000, 10_200):
        queue.put(a_pose(Pose3D, frame, 0, 1), b"x" * 4000)
        queue.flush(lambda data: True, 0)
    queue.answer(Pong(1, 2))
    sent: list[bytes] = []
    queue.flush(lambda data: bool(sent.append(data)) or True, 0)
    assert sent == [encode(Pong(1, 2))]
