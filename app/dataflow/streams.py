"""THE dataflow, as one table: the workers, what each takes and how, what it sends, and what it needs to run.

Config, command line, bus, supervisor, services, recorder, health check, tests and the drawing in docs/architecture.md are derived from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple

from poselift.app.dataflow.messages import End, Frame, Health, Message, Numbered, Pose2D, Pose3D


class Take(Enum):
    """How a taker gets a stream."""

    NEWEST = "newest"
    """Only the latest message; older ones that wait are skipped and counted. From a file, where every frame counts: every one."""
    EVERY = "every"
    """Every one, through a queue of its own: full, it blocks the sender (file) or the message is dropped and counted (live)."""
    FEED = "feed"
    """As they come, as far as the taker keeps up; the sender never waits."""


class Worker(NamedTuple):
    """One line of the table. A worker that takes nothing is a source; one that sends nothing only takes."""

    takes: Mapping[type[Message], Take]
    sends: tuple[type[Numbered], ...] = ()
    """Beside `Health`, which every worker sends."""
    needs: str = ""
    """The setting without which it does not run, such as `record.folder`."""
    live_only: bool = False
    """Whether it does not run where the source is a file: nobody serves one, or measures it."""

    def taking(self, mode: str) -> Mapping[type[Message], Take]:
        """What it takes in a mode ('live' or 'file'), and how."""
        if mode == "live":
            return self.takes
        every = {message: Take.EVERY if take is Take.NEWEST else take for message, take in self.takes.items()}
        return {} if self.live_only else every

    @property
    def only_looks_on(self) -> bool:
        """Whether nobody misses anything where it is not there: nobody takes anything from it but how it is, or waits for it."""
        return not self.sends and set(self.takes.values()) <= {Take.FEED}


_LOOKS_ON: Mapping[type[Message], Take] = {Pose2D: Take.FEED, Pose3D: Take.FEED, Health: Take.FEED}

WORKERS = {
    "capture": Worker({}, sends=(Frame,)),
    "detect": Worker({Frame: Take.NEWEST}, sends=(Pose2D,)),
    "lift": Worker({Pose2D: Take.EVERY}, sends=(Pose3D,)),
    "record": Worker({Frame: Take.EVERY, Pose2D: Take.EVERY, Pose3D: Take.EVERY, Health: Take.FEED}, needs="record.folder"),
    "serve": Worker({Frame: Take.FEED, **_LOOKS_ON}, needs="serve.address", live_only=True),
    "metrics": Worker(_LOOKS_ON, needs="metrics.address", live_only=True),
}
"""Name -> worker, senders before their takers; `run` in `workers/NAME.py` is its loop. `End` follows the last message of a stream on the
same way; `Control` and its `Answer` go to one named worker."""

WATCH = "watch"
"""Whoever looks on from outside the workers: the supervisor's table, `poselift status`, `poselift.connect`."""
SOURCE, RECORDER, SERVER = "capture", "record", "serve"
"""Who is told to stop, so that the others end behind it; who makes recordings; who has viewers."""
STAGES = tuple(name for name, worker in WORKERS.items() if worker.sends)
"""Those by which a frame gets its answer."""


class Link(NamedTuple):
    """One way from a sender to a taker."""

    message: type[Message]
    sender: str
    taker: str
    take: Take


def links(mode: str, workers: Collection[str]) -> tuple[Link, ...]:
    """All ways between the given workers, and from them to whoever watches, in a mode ('live' or 'file')."""
    present = {name: worker for name, worker in WORKERS.items() if name in workers}
    takers = {**{name: worker.taking(mode) for name, worker in present.items()}, WATCH: _LOOKS_ON}
    return tuple(
        Link(message, sender, taker, taking[message])
        for message in sent()
        for sender, worker in present.items()
        if message in (*worker.sends, Health)
        for taker, taking in takers.items()
        if message in taking and taker != sender
    )


def sent() -> tuple[type[Message], ...]:
    """The message types that workers send to one another."""
    return (*dict.fromkeys(message for worker in WORKERS.values() for message in worker.sends), Health)


def sender_of(message: type[Message]) -> str:
    """The worker that sends messages of this type."""
    return next(name for name, worker in WORKERS.items() if message in worker.sends)


def answer_to_a_frame(workers: Collection[str]) -> type[Numbered]:
    """The last that comes of a frame where these workers run."""
    return [Frame, *(message for name, worker in WORKERS.items() if name in workers for message in worker.sends)][-1]


def recorded() -> tuple[type[Message], ...]:
    """The message types a recording holds."""
    return (*WORKERS[RECORDER].takes, End)


def drawing() -> str:
    """The table as a Mermaid flow chart: what docs/architecture.md shows."""
    arrows = {Take.EVERY: "==>", Take.NEWEST: "-->", Take.FEED: "-.->"}
    lines = ["flowchart LR"]
    for message, sender, taker, take in links("live", WORKERS):
        start = 'workers["every worker"]' if message is Health else sender
        also = f" ({Take.EVERY.value} from a file)" if take is Take.NEWEST else ""
        lines.append(f'    {start} {arrows[take]}|"{message.__name__}: {take.value}{also}"| {taker}')
    return "\n".join(dict.fromkeys(lines))
