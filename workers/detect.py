"""Frames in, people's keypoints in the picture out: `Frame` -> `Pose2D`."""

from __future__ import annotations

from contextlib import ExitStack, closing

import cv2
import numpy as np

from app.bus import Bus
from app.config import Config
from app.frames import Overwritten, Picture, RingReader
from app.ledger import OVERWRITTEN
from app.loop import Loop
from app.messages import Frame, Pose2D
from models.backend import Model
from models.blazepose import BlazePose
from models.detector import PoseDetector2D
from workers.networks import open_network


class Detect:
    """Finds and follows people. What it gives depends on the sequence of frames alone."""

    def __init__(self, detector: PoseDetector2D) -> None:
        self._detector = detector

    def close(self) -> None:
        """Give the networks' device back."""
        self._detector.close()

    def step(self, frame: Frame, picture: Picture) -> Pose2D:
        """The people in `picture`, uint8 [height, width, 3] BGR, the frame's pixels."""
        people = self._detector.step(picture, frame.t_ns)
        return Pose2D(frame.frame, frame.t_ns, frame.width_px, frame.height_px, people.person, people.keypoints)


def open_detect(config: Config) -> Detect:
    """The detector that the config names, its networks warmed up: the first frame must not wait for that. Close it in the end.

    Raises ModelError, DeviceError.
    """
    settings = config.detect
    with ExitStack() as opened:
        detector, landmarks = (_ready(name, config, opened) for name in ("blazepose_detector", "blazepose_landmarks"))
        detect = Detect(BlazePose(detector, landmarks, min_score=settings.min_detection_score, min_presence=settings.min_presence))
        opened.pop_all()
    return detect


def run(config: Config, bus: Bus) -> None:
    """Live, each time the newest frame; from a file, every one."""
    loop = Loop(bus)
    loop.on_signals()
    cv2.setNumThreads(config.detect.threads)
    with closing(open_detect(config)) as detect:
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


def _ready(name: str, config: Config, opened: ExitStack) -> Model:
    network = opened.enter_context(closing(open_network(name, config, config.detect.threads)))
    network.run({tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in network.inputs})
    return network
