"""A 1080p picture from one process to the next through the ring and the bus, against one copy of it in memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench.part import Goal, Grid, Result, Setup, WrongOutput, milliseconds, require
from poselift.app.config import CaptureConfig, Config
from poselift.app.dataflow.frames import RingReader
from poselift.app.dataflow.ledger import NEWER_FRAME
from poselift.app.dataflow.messages import Frame
from poselift.app.processes.loop import Loop
from poselift.app.processes.process import connect
from poselift.workers.frame_writer import FrameWriter
from poselift.workers.sources.pattern import PatternSource, read_number
from poselift.workers.sources.source import CapturedPicture

SOURCE = "test:1920x1080@30"
FRAMES, QUICK_FRAMES = 600, 60
PERIOD_S = 1 / 30
GOAL = 3.0
ARRIVING = 0.9
"""At least this part must arrive: detect takes the newest, and passes over others where the machine is busy."""
METHOD = (
    f"{FRAMES} pictures of 1920x1080, uint8 BGR (6.2 MB), go at 30 a second from capture's sender to detect's reader in another process, "
    "through the real ring and bus. Time counts from the picture in memory until its pixels can be read there. For comparison, the "
    "sending process copies the same picture once, into memory that is used in turn as the ring's slots are. The two take turns in going "
    "first. Checked: every picture arrives whole, with its own number in it, or is counted as passed over."
)


def measure(setup: Setup) -> Result:
    """The way and the copy, as percentiles; their ratio at the median."""
    frames = QUICK_FRAMES if setup.quick else FRAMES
    with tempfile.TemporaryDirectory(prefix="poselift-bench-", dir=setup.config.runtime_path().parent) as folder:
        config = setup.config.changed(mode="live", workers=["capture", "detect"], runtime_folder=folder)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        reader = context.Process(target=_read, args=(config, there), daemon=True)
        reader.start()
        copies_ns = _send(config, frames)
        require(here.poll(10), "handoff: the reading process has not answered")
        arrived, newer = here.recv()
        reader.join()
    wrong = [(frame, number) for frame, number, _ in arrived if frame != number]
    require(not wrong, f"handoff: frame {wrong[:1]} had another picture")
    require(len(arrived) + newer == frames, f"handoff: {len(arrived)} pictures of {frames} arrived, {newer} were passed over")
    require(len(arrived) >= ARRIVING * frames, f"handoff: {newer} pictures of {frames} were passed over: this machine is too busy")
    ways_ns = [way_ns for _, _, way_ns in arrived]
    warm = config.capture.ring_slots  # before, the slots' memory is new to the processes
    ways_ns, copies_ns = ways_ns[warm:], copies_ns[warm:]
    way, copy = milliseconds(ways_ns, 50, 95), milliseconds(copies_ns, 50, 95)
    ratios = [f"{a / b:.2f}" for a, b in zip(way, copy)]
    rows = [
        ("from capture to detect", *(f"{value:.3f} ms" for value in way)),
        ("one copy in memory", *(f"{value:.3f} ms" for value in copy)),
        ("ratio", *ratios),
    ]
    goal = Goal("a 1080p picture to detect, divided by one copy of it (p50)", ratios[0], f"at most {GOAL:g}", way[0] <= GOAL * copy[0])
    account = Grid(("pictures", "passed over for a newer one"), [(str(frames), str(newer))])
    return Result(METHOD, [Grid(("", "p50", "p95"), rows), account], [goal])


def _send(config: Config, frames: int) -> list[int]:
    """Capture's side; returns what each copy took, ns."""
    loop = Loop(connect(config, "capture"))
    slots = config.capture.ring_slots
    writer = FrameWriter(Path(str(config.runtime_folder)), slots, live=True, every=(), source=1)
    missing = loop.wait_for_takers(config.bus.wait_for_takers_s)
    require(not missing, "handoff: the reading process did not start")
    copies: list[np.ndarray] = []
    copies_ns = []
    for number, picture in enumerate(_paced(islice(PatternSource(CaptureConfig(source=SOURCE)), frames))):
        if not copies:
            copies = [np.zeros_like(picture.pixels) for _ in range(slots)]

        def copy(pixels: np.ndarray = picture.pixels, to: np.ndarray = copies[number % slots]) -> None:
            begin_ns = time.monotonic_ns()
            np.copyto(to, pixels)
            copies_ns.append(time.monotonic_ns() - begin_ns)

        if number % 2:
            copy()
        frame = writer.frame(picture, 30, time.monotonic_ns(), loop.bus.takers())
        if frame is None:
            raise WrongOutput("handoff: every slot of the ring is in use")
        loop.send(frame)
        if not number % 2:
            copy()
        loop.turn()
    loop.end()
    return copies_ns


def _read(config: Config, answer: Connection) -> None:
    """Detect's side, in a process of its own; answers each picture's frame, own number and way in ns, and how many were passed over."""
    loop = Loop(connect(config, "detect"))
    ring = RingReader(Path(str(config.runtime_folder)), "detect")
    arrived = []
    for message in loop.inputs():
        if isinstance(message, Frame):
            with ring.picture(message) as pixels:
                way_ns = time.monotonic_ns() - message.trace[0].received_ns
                arrived.append((message.frame, read_number(pixels), way_ns))
    loop.end()
    answer.send((arrived, loop.meter.drops.get(NEWER_FRAME, 0)))


def _paced(pictures: Iterator[CapturedPicture]) -> Iterator[CapturedPicture]:
    """Each picture when it is due, made freshly: as a camera's it is in the processor's caches as far as it fits."""
    due_s = time.monotonic()
    while True:
        time.sleep(max(0.0, due_s - time.monotonic()))
        due_s += PERIOD_S
        picture = next(pictures, None)
        if picture is None:
            return
        yield picture
