"""Frames in, people's keypoints in the picture out: `Frame` -> `Pose2D`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import cv2
import numpy as np

from app.config import Config
from app.dataflow.bus import Bus
from app.dataflow.frames import Overwritten, Picture, RingReader
from app.dataflow.ledger import OVERWRITTEN
from app.dataflow.messages import Frame, Pose2D
from app.processes.loop import Loop
from models.backends.backend import Model
from models.detection.blazepose import BlazePose
from models.detection.detector import PoseDetector2D
from workers.networks import Timed, open_network


class Detect:
    """Finds and follows people. What it gives depends on the sequence of frames alone."""

    def __init__(self, detector: PoseDetector2D) -> None:
        self._detector = detector

    def step(self, frame: Frame, picture: Picture) -> Pose2D:
        """The people in `picture`, uint8 [height, width, 3] BGR, the frame's pixels."""
        people = self._detector.step(picture, frame.t_ns)
        return Pose2D(frame.frame, frame.t_ns, frame.width_px, frame.height_px, people.person, people.keypoints)


@contextmanager
def detecting(config: Config, watched: Callable[[Model], Model] = lambda network: network) -> Iterator[Detect]:
    """The detector that the config names, its networks warmed up, as the first frame must not wait for that.

    `watched` may put something before each network, such as `workers.networks.Timed`. Raises ModelError, DeviceError.
    """
    settings = config.detect
    with ExitStack() as opened:
        detector, landmarks = (
            watched(opened.enter_context(closing(open_network(name, config, settings.threads))))
            for name in ("blazepose_detector", "blazepose_landmarks")
        )
        for network in (detector, landmarks):
            network.run({tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in network.inputs})
        yield Detect(BlazePose(detector, landmarks, min_score=settings.min_detection_score, min_presence=settings.min_presence))


def run(config: Config, bus: Bus) -> None:
    """Live, each time the newest frame; from a file, every one."""
    loop = Loop(bus)
    loop.on_signals()
    cv2.setNumThreads(config.detect.threads)
    with detecting(config, lambda network: Timed(network, loop.meter)) as detect:
        ring = RingReader(config.runtime_path(), bus.worker)
        loop.wait_for_takers(config.bus.wait_for_takers_s)
        for message in loop.inputs():
            if isinstance(message, Frame):
                _answer(message, detect, ring, loop)
    loop.end()


def _answer(frame: Frame, detect: Detect, ring: RingReader, loop: Loop) -> None:
    try:
        with ring.picture(frame) as picture:
            pose = detect.step(frame, picture)
    except Overwritten:
        loop.skip(OVERWRITTEN)
    else:
        loop.send(pose, after=frame)
