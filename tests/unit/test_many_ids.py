"""Whoever was there leaves nothing behind in what tracks, lifts and draws people, however many come in a day."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from random_lifter import random_lifter

from poselift.app.dataflow.messages import Pose2D
from poselift.app.export.scene import Scene
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.detection.detector import Detections
from poselift.models.lifting.lifter import Lifter
from poselift.models.tracking.tracks import Tracks
from poselift.workers.lift import Lift

STEP_NS, PLACES = 100_000_000, 80
"""Everybody is there in one picture, and nobody comes where somebody was in the last five seconds, or at the picture's side."""
WIDTH_PX = 100 * PLACES + 800
METADATA = {"rate_hz": "30", "normalisation": "person_camera"}


def grown(step: Callable[[int], None], first: int, last: int) -> int:
    """By how many bytes what is in use grows over these steps."""
    used = []
    for number in range(last + 1):
        step(number)
        if number in (first, last):
            gc.collect()
            sys._clear_type_cache()  # which holds some thousand names that were looked up
            used.append(tracemalloc.get_traced_memory()[0])
    return used[1] - used[0]


@pytest.mark.filterwarnings("ignore:sys._clear_type_cache:DeprecationWarning")
def test_whoever_is_gone_leaves_nothing_behind(tmp_path):
    onnx.save(build(random_lifter((3,), 8, 67), METADATA), tmp_path / "lifter.onnx")
    lift, scene = Lift(Lifter(open_model(tmp_path / "lifter.onnx"), slots=8)), Scene(320, 240)
    standing = np.random.default_rng(0).uniform(0, 50, (17, 3)).astype(np.float32).clip(None, (50, 50, 1))
    tracks, given = Tracks(), 0

    def step(number: int) -> None:
        nonlocal tracks, given
        place = np.float32([400 + 100 * (number % PLACES), 100, 0])
        found = Detections(np.array([[*place[:2] + 25, 50, 50]]), (standing + place)[None], (-1,))
        tracks = tracks.update(found, [None], number * STEP_NS, WIDTH_PX)
        person = np.array([tracks.tracks[0].person])
        given += 1
        assert person == given
        pose = lift.step(Pose2D(number, number * STEP_NS, WIDTH_PX, 300, person, found.keypoints))
        assert given in pose.person and len(pose.person) < 8
        scene.place(pose)

    tracemalloc.start()
    try:
        assert grown(step, PLACES, 2 * PLACES) < PLACES * sys.getsizeof(np.zeros(1)), "less than one array of each"
    finally:
        tracemalloc.stop()
