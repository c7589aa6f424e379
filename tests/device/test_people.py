"""On an NPU the same people are found and followed as on the CPU, and the lifter gives the same joints of the same keypoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from demo_clip import moments, pulled

from poselift.common.arrays import Pixels
from poselift.common.people import People2D, People3D
from poselift.models.backends.backend import Model, open_model
from poselift.models.detection.blazepose_people import BlazePosePeople
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.tracking.pose_tracker import PoseTracker

NAMES = ("efficientdet_lite0", "blazepose_landmarks", "lifter")
FIRST, PICTURES = 45, 20
"""Of the demo clip: there are two people in these."""
NEAR_PX = 2.0
"""How far apart keypoints may be, by their median, where each side follows by itself: that magnifies the least difference, now and then."""
JOINTS_M = 2e-3
"""How far the lifter's joints may lie apart in half precision."""


@pytest.fixture(scope="module")
def stream() -> list[tuple[Pixels, int]]:
    return list(islice(moments(pulled("demo_clip")), FIRST, FIRST + PICTURES))


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Model]]:
    """A function that opens a network until the test ends: pyACL is not known to take a second init in one process."""
    with ExitStack() as networks:
        yield lambda path: networks.enter_context(closing(open_model(path)))


@pytest.fixture(scope="module")
def on_cpu(stream: list[tuple[Pixels, int]]) -> tuple[list[People2D], list[People3D]]:
    pytest.importorskip("onnxruntime", reason="to compare with, ONNX Runtime is needed: pip install onnxruntime")
    finder, landmarks, lifter = (open_model(pulled(name)) for name in NAMES)
    people = seen(finder, landmarks, stream)
    return people, lifted(lifter, people, stream)


def seen(finder: Model, landmarks: Model, stream: Sequence[tuple[Pixels, int]]) -> list[People2D]:
    return list(PoseTracker(BlazePosePeople(finder, landmarks, people=2)).follow(stream))


def lifted(model: Model, people: Sequence[People2D], stream: Sequence[tuple[Pixels, int]]) -> list[People3D]:
    rows = model.inputs[0].shape[0]
    slots = 2 if rows < 0 else rows // LifterMetadata.read(model.metadata).rows(1)
    with closing(Lifter(model, slots)) as lifter:
        return [lifter.step(t_ns, there, picture.shape[1::-1]) for there, (picture, t_ns) in zip(people, stream)]


def ids(people: Sequence[People2D]) -> list[list[int]]:
    return [there.person.tolist() for there in people]


def test_the_same_people_are_seen_and_lifted(networks, opened, stream, on_cpu):
    if not (networks / f"{NAMES[0]}.om").is_file():
        pytest.skip(f"{networks} is for one person; type: poselift models atc --people 4")
    finder, landmarks, lifter = (opened(networks / f"{name}.om") for name in NAMES)
    expected, poses = on_cpu
    found = seen(finder, landmarks, stream)
    assert ids(found) == ids(expected) and ids(found)[-1] == [1, 2]
    apart_px = [np.linalg.norm((one.keypoints - other.keypoints)[..., :2], axis=-1).ravel() for one, other in zip(expected, found)]
    assert np.median(np.concatenate(apart_px)) < NEAR_PX

    of_the_same = lifted(lifter, expected, stream)
    assert ids(of_the_same) == ids(poses)
    apart_m = np.concatenate([np.linalg.norm(one.joints_m - other.joints_m, axis=-1).ravel() for one, other in zip(poses, of_the_same)])
    told = apart_m[np.isfinite(apart_m)]
    assert len(told) > PICTURES * 17 and 0 < told.max() <= JOINTS_M
