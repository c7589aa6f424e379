"""THE dataflow, as one table: message, sender, who takes the newest, who takes every one.

The bus, the recorder, the health check, the tests and the drawing in docs/architecture.md are derived from it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from poselift.app.dataflow.messages import End, Frame, Health, Message, Pose2D, Pose3D


class Take(Enum):
    """How a taker gets a stream."""

    NEWEST = "newest"
    """Only the latest message; older ones that wait are skipped and counted."""
    EVERY = "every"
    """Every one, through a queue of its own: full, it blocks the sender (file) or the message is dropped and counted (live)."""
    FEED = "feed"
    """As they come, as far as the taker keeps up; the sender never waits."""


class Stream(NamedTuple):
    """One line of the table."""

    message: type[Message]
    senders: tuple[str, ...]
    live: dict[str, Take]
    """Taker -> how it takes, in live mode."""
    file: dict[str, Take]
    """The same where every frame counts: from a file. Nobody serves one, or measures it."""


WORKERS = ("capture", "detect", "lift", "record", "serve", "metrics")
"""Senders before their takers."""

WATCH = "watch"
"""Whoever looks on from outside the workers: the supervisor's table, `poselift status`, `poselift.connect`."""

STREAMS = (
    Stream(
        Frame,
        ("capture",),
        live={"detect": Take.NEWEST, "record": Take.EVERY, "serve": Take.FEED},
        file={"detect": Take.EVERY, "record": Take.EVERY},
    ),
    Stream(
        Pose2D,
        ("detect",),
        live={"lift": Take.EVERY, "record": Take.EVERY, "serve": Take.FEED, "metrics": Take.FEED, WATCH: Take.FEED},
        file={"lift": Take.EVERY, "record": Take.EVERY, WATCH: Take.FEED},
    ),
    Stream(
        Pose3D,
        ("lift",),
        live={"record": Take.EVERY, "serve": Take.FEED, "metrics": Take.FEED, WATCH: Take.FEED},
        file={"record": Take.EVERY, WATCH: Take.FEED},
    ),
    Stream(
        Health,
        WORKERS,
        live={"record": Take.FEED, "serve": Take.FEED, "metrics": Take.FEED, WATCH: Take.FEED},
        file={"record": Take.FEED, WATCH: Take.FEED},
    ),
)
"""`End` follows the last message of a stream on the same way; `Control` and its `Answer` go to one named worker."""


class Link(NamedTuple):
    """One way from a sender to a taker."""

    message: type[Message]
    sender: str
    taker: str
    take: Take


def links(mode: str, workers: tuple[str, ...]) -> tuple[Link, ...]:
    """All ways between the given workers, and from them to whoever watches, in a mode ('live' or 'file')."""
    present = {*workers, WATCH}
    return tuple(
        Link(stream.message, sender, taker, take)
        for stream in STREAMS
        for sender in stream.senders
        for taker, take in getattr(stream, mode).items()
        if sender in present and taker in present and sender != taker
    )


def only_takes(worker: str) -> bool:
    """Whether nobody takes anything from this worker but how it is."""
    return not any(worker in stream.senders for stream in STREAMS if stream.message is not Health)


def is_onlooker(worker: str) -> bool:
    """Whether nobody misses anything where this worker is not there: nobody takes anything from it but how it is, or waits for it."""
    waited_for = any(take.get(worker, Take.FEED) is not Take.FEED for stream in STREAMS for take in (stream.live, stream.file))
    return only_takes(worker) and not waited_for


def answer_to_a_frame(workers: tuple[str, ...]) -> type[Pose2D] | type[Pose3D]:
    """The last that comes of a frame where these workers run."""
    return Pose3D if "lift" in workers else Pose2D


def recorded() -> tuple[type[Message], ...]:
    """The message types a recording holds."""
    return (*(stream.message for stream in STREAMS if "record" in stream.live), End)


def drawing() -> str:
    """The table as a Mermaid flow chart: what docs/architecture.md shows."""
    arrows = {Take.EVERY: "==>", Take.NEWEST: "-->", Take.FEED: "-.->"}
    lines = ["flowchart LR"]
    for stream in STREAMS:
        for sender in stream.senders if stream.message is not Health else ("every worker",):
            for taker, take in stream.live.items():
                from_file = stream.file.get(taker, take)
                also = "" if from_file is take else f" ({from_file.value} from a file)"
                start = sender if " " not in sender else f'workers["{sender}"]'
                lines.append(f'    {start} {arrows[take]}|"{stream.message.__name__}: {take.value}{also}"| {taker}')
    return "\n".join(lines)
