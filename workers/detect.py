"""Frames in, people's keypoints in the picture out: `Frame` -> `Pose2D`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic

import cv2
import numpy as np

from poselift.app.config import Config
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.frames import PictureGone, RingReader
from poselift.app.dataflow.messages import Frame, Pose2D
from poselift.app.dataflow.saved_value import SavedValue
from poselift.app.dataflow.session import join
from poselift.app.processes.loop import Loop
from poselift.common.arrays import Array, Pixels
from poselift.common.errors import ModelError, UserError
from poselift.models.backends.backend import Model
from poselift.models.detection.detector import State
from poselift.models.tracking.pose_tracker import PoseTracker, Tracked
from poselift.models.tracking.tracks import Tracks
from poselift.workers.networks import Timed, detector, open_networks


class Detect(Generic[State]):
    """Finds and follows people. What it gives depends on the sequence of frames that counted alone, and on the first id."""

    def __init__(self, tracker: PoseTracker[State]) -> None:
        self._tracker = tracker
        self._state: Tracked[State] = Tracked()

    def count_from(self, person: int) -> None:
        """Nobody is known; the next person has this id."""
        self._state = Tracked(Tracks(person))

    def step(self, frame: Frame, looking: AbstractContextManager[Pixels], answer: Callable[[Pose2D], None] = lambda pose: None) -> Pose2D:
        """The people in the frame's pixels, uint8 [height, width, 3] BGR, which are there while we are `looking`.

        They are passed to `answer` at once; then more people are looked for in the same pixels, and followed from the next frame on.
        Where anything before the answer raises, such as PictureGone, the frame has left no trace in what is known of the people.
        """
        with looking as picture:
            state, people = self._tracker.step(self._state, picture, frame.t_ns)
            pose = Pose2D(frame.frame, frame.t_ns, *frame.size_px, **vars(people), left_out=state.left_out)
            answer(pose)
            self._state = state
            state = self._tracker.look_around(state, picture)
        self._state = state
        return pose


@contextmanager
def detecting(config: Config, watched: Callable[[Model], Model] = lambda network: network) -> Iterator[Detect[Any]]:
    """The detector that the config names, its networks warmed up, as the first frame must not wait for that.

    `watched` may put something before each network, such as `poselift.workers.networks.Timed`. Raises UserError, ModelError, DeviceError.
    """
    settings = config.detect
    if settings.model and not Path(settings.model).is_file():
        raise UserError(f"detect.model: {settings.model}: no such file; name an .onnx file, such as RTMPose's, or null for BlazePose")
    with ExitStack() as opened:
        networks = [watched(opened.enter_context(closing(it))) for it in open_networks("detect", config, settings.threads)]
        try:
            found = detector(config).build(networks, settings.people, settings.min_detection_score, settings.min_presence)
        except ModelError as error:
            raise ModelError(f"detect.model: {settings.model}: {error}" if settings.model else str(error)) from None
        for network in networks:
            network.run({tensor.name: np.zeros(np.maximum(tensor.shape, 1), tensor.dtype) for tensor in network.inputs})
        yield Detect(PoseTracker(found))


def run(config: Config, bus: Bus) -> None:
    """Live, each time the newest frame; from a file, every one."""
    ids = PersonIds(config)
    loop = Loop(bus, mended=ids.save)
    loop.on_signals()
    cv2.setNumThreads(config.detect.threads)

    def opened(network: Model) -> Model:
        loop.alive(config.supervisor.start_timeout_s)
        return Timed(network, loop.meter)

    with detecting(config, opened) as detect:
        ring = RingReader(config.runtime_path(), bus.worker)
        detect.count_from(ids.next_person)
        loop.wait_for_takers(config.bus.wait_for_takers_s)
        for message in loop.inputs():
            if isinstance(message, Frame):
                _answer(message, detect, ring, ids, loop)
    loop.end()


class PersonIds:
    """The ids of a session, across restarts of this worker: a worker that was killed and comes back counts on."""

    def __init__(self, config: Config) -> None:
        folder = config.runtime_path()
        self._saved = SavedValue(folder, "next_person", int, join(folder))
        self.next_person = self._saved.read() or Tracks().next_person

    def given(self, persons: Array) -> None:
        """These ids are told to others next."""
        if len(persons) and persons.max() >= self.next_person:
            self.next_person = int(persons.max()) + 1
            self.save()

    def save(self) -> None:
        """Write it to the runtime folder, once there was anybody. Where there is no room, ids may come back after a restart."""
        if self.next_person != Tracks().next_person:
            with suppress(OSError):
                self._saved.write(self.next_person)


def _answer(frame: Frame, detect: Detect[State], ring: RingReader, ids: PersonIds, loop: Loop) -> None:
    answered = False

    def answer(pose: Pose2D) -> None:
        nonlocal answered
        ring.check(frame)
        ids.given(pose.person)
        loop.meter.people, loop.meter.left_out = len(pose.person), pose.left_out
        loop.send(pose, after=frame)
        answered = True

    try:
        detect.step(frame, ring.picture(frame), answer)
    except PictureGone as gone:
        if not answered:
            loop.skip(gone.reason)
