"""A picture that is overwritten while detect is at work on it leaves no trace: the poses are those of the frames that counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from demo_clip import FRAME_NS, pictures, pulled

from poselift.app.config import Config
from poselift.app.dataflow.frames import Position, RingReader, RingWriter
from poselift.app.dataflow.ledger import OVERWRITTEN
from poselift.app.dataflow.memory_bus import MemoryHub
from poselift.app.dataflow.messages import Frame, Pose2D, Stamp
from poselift.app.dataflow.streams import links
from poselift.app.processes.loop import Loop
from poselift.common.arrays import Pixels
from poselift.models.backends.backend import Model
from poselift.workers.detect import PersonIds, _answer, detecting

FRAMES = 40
BEFORE_LOOKING, WHILE_THINKING = {5, 6, 17}, {0, 9, 23, 24, 25}
"""Frames whose slot gets another picture: before BlazePose cuts out its region, and while its networks run."""
COUNTED = [number for number in range(FRAMES) if number not in BEFORE_LOOKING | WHILE_THINKING]
Happens = Callable[[set[int]], None]


class Hasty(RingReader):
    """A ring in which something happens as soon as somebody looks."""

    happens: Happens

    @contextmanager
    def picture(self, frame: Frame) -> Iterator[Pixels]:
        with super().picture(frame) as picture:
            self.happens(BEFORE_LOOKING)
            yield picture


class Slow:
    """A network during whose run something happens."""

    def __init__(self, network: Model, happens: Happens) -> None:
        self.device, self.inputs, self.outputs, self.metadata = network.device, network.inputs, network.outputs, network.metadata
        self.carrying, self.close = network.carrying, network.close
        self._network, self._happens = network, happens

    def run(self, tensors):
        self._happens(WHILE_THINKING)
        return self._network.run(tensors)


def detected(folder: Path, clip: list[Pixels], numbers: list[int], fast_writer: bool) -> tuple[list[Pose2D], dict[str, int]]:
    """What detect says of these pictures out of a ring, and what it drops; a `fast_writer` respects nobody who looks."""
    folder.mkdir()
    ring = RingWriter(folder, 0, 4, clip[0].nbytes)
    hub = MemoryHub(links("live", ("capture", "detect", "lift")))
    reader, loop, number = Hasty(folder, "detect"), Loop(hub.bus("detect")), -1

    def happens(when: set[int]) -> None:
        if fast_writer and number in when:
            ring.write(number % ring.slots, clip[FRAMES], Position())

    reader.happens = happens
    height_px, width_px = clip[0].shape[:2]
    config = Config(runtime_folder=str(folder)).changed(detect={"people": 1})
    with detecting(config, lambda network: Slow(network, happens)) as detect:
        for number in numbers:
            slot = number % ring.slots
            generation = ring.write(slot, clip[number], Position())
            trace = (Stamp("capture", 1, 1),)
            frame = Frame(number, number * FRAME_NS, width_px, height_px, 30.0, 0, slot, generation, "ring", b"", 1, trace)
            _answer(frame, detect, reader, PersonIds(config), loop)
    return [pose for pose in hub.taken("lift", Pose2D) if isinstance(pose, Pose2D)], loop.meter.drops


def bits(pose: Pose2D) -> tuple[int, bytes, bytes]:
    return pose.frame, pose.person.tobytes(), pose.keypoints.tobytes()


def test_what_was_overwritten_leaves_no_trace(tmp_path: Path) -> None:
    clip = list(islice(pictures(pulled("demo_clip")), 60, 61 + FRAMES))
    live, dropped = detected(tmp_path / "live", clip, list(range(FRAMES)), fast_writer=True)
    assert dropped == {OVERWRITTEN: FRAMES - len(COUNTED)}
    assert [pose.frame for pose in live] == COUNTED and sum(len(pose.person) for pose in live) > 20
    replay, dropped = detected(tmp_path / "replay", clip, COUNTED, fast_writer=False)
    assert not dropped
    assert [*map(bits, live)] == [*map(bits, replay)]
