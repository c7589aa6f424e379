"""BlazePose with its real networks on the demo clip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_clip import FRAME_NS, blazepose, moments, pictures, pulled

import poselift.models
from poselift.common.people import People2D
from poselift.models.backends.backend import open_model
from poselift.models.lifting.lifter import Lifter
from poselift.models.tracking.pose_tracker import PoseTracker

WEIGHTS = Path(poselift.models.__file__).parent / "weights" / "lifter.onnx"


def test_the_person_is_seen_in_nearly_every_frame():
    confidence, ids = [], set()
    for people in PoseTracker(blazepose()).follow(islice(moments(pulled("demo_clip")), 0, None, 2)):
        confidence.append(people.keypoints[0, :, 2].mean() if len(people.person) else 0.0)
        ids.update(people.person.tolist())
    assert len(confidence) == 115
    assert np.mean(np.array(confidence) > 0.5) >= 0.95
    assert len(ids) <= 4, "two people take turns at being followed: the man on the roof, and the woman who walks by while he falls"


def test_pictures_of_two_sizes_in_turn_are_as_good_as_one():
    stream = list(islice(moments(pulled("demo_clip")), 10, 50))
    resized = [(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), t_ns) for picture, t_ns in stream]
    plain = list(PoseTracker(blazepose()).follow(stream))
    mixed = list(PoseTracker(blazepose()).follow([pair[n % 2] for n, pair in enumerate(zip(stream, resized))]))
    assert [len(people.person) for people in mixed] == [len(people.person) for people in plain]
    away = []
    for number, (one, other) in enumerate(zip(plain, mixed)):
        if len(one.person):
            away_px = np.linalg.norm((other.keypoints[0, :17, :2] + 0.5) * (1, 2)[number % 2] - 0.5 - one.keypoints[0, :17, :2], axis=1)
            away.append(away_px.mean() / np.ptp(one.keypoints[0, :17, 1]))
    assert np.median(away) < 0.01
    assert np.mean(np.array(away) < 0.1) > 0.95, "a limb that is hidden jumps by a grain of noise as well"
    assert len({people.person.tolist()[0] for people in mixed if len(people.person)}) == 1


def people_of(film: Sequence[np.ndarray], first: int = 0) -> list[People2D]:
    return list(PoseTracker(blazepose()).follow(((picture, frame * FRAME_NS) for frame, picture in enumerate(film, first))))


def ids_of(people: Sequence[People2D]) -> list[int]:
    """The person of each picture; -1 where there is nobody."""
    return [int(of.person[0]) if len(of.person) else -1 for of in people]


@pytest.fixture(scope="module")
def scenes() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The man and the woman from near, each upright in the middle of a picture of the same size."""
    clip = list(islice(pictures(pulled("demo_clip")), 40, 60))
    man, woman = (slice(0, 544), slice(400, 900)), (slice(450, 994), slice(1250, 1750))
    return tuple([np.ascontiguousarray(picture[part]) for picture in clip] for part in (man, woman))


@pytest.mark.parametrize("between", ["nothing", "black", "white"])
def test_after_a_cut_another_person_in_the_same_place_is_another_person(scenes, between):
    """Nothing of before is left: it is as if the film began there."""
    first, second = scenes
    pause = [] if between == "nothing" else [np.full_like(first[0], 255 * (between == "white"))] * 8
    people = people_of([*first, *pause, *second])
    ids, begin = ids_of(people), len(first) + len(pause)
    assert set(ids[: len(first)]) == {1} and set(ids[begin:]) == {2}, ids
    fresh = people_of(second, begin)
    assert [of.keypoints.tobytes() for of in people[begin:]] == [of.keypoints.tobytes() for of in fresh]


def test_each_cut_gives_a_new_person_and_none_comes_back(scenes):
    ids = ids_of(people_of([scenes[number // 3 % 2][number] for number in range(18)]))
    assert ids == [1 + number // 3 for number in range(18)]


def test_the_lifter_knows_nothing_of_before_a_cut(scenes):
    lifters = [Lifter(open_model(WEIGHTS)) for _ in range(2)]
    height_px, width_px = scenes[0][0].shape[:2]
    after = []
    for lifter, begin in zip(lifters, (0, 20)):
        people = people_of([*scenes[0], *scenes[1]][begin:], begin)
        lifted = [lifter.step(frame * FRAME_NS, of, (width_px, height_px)) for frame, of in enumerate(people, begin)]
        after.append(lifted[20 - begin :])
    for one, other in zip(*after):
        assert len(one.person) == len(other.person)
        np.testing.assert_array_equal(one.warming, other.warming)
        np.testing.assert_allclose(one.joints_m, other.joints_m, atol=1e-5)
