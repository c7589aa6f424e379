"""The two people of the demo clip with the real networks: a woman who walks by, and a man who leaps off a roof and lands far away."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from demo_clip import moments, pulled

from poselift.common.people import People2D
from poselift.models.backends.backend import open_model
from poselift.models.detection.blazepose_people import BlazePosePeople
from poselift.models.tracking.pose_tracker import PoseTracker

WOMAN_X_PX, ROOF_Y_PX, LEAP = 700, 520, 175
"""Once the man has leapt, she is left of this; before, he is above this."""


@pytest.fixture(scope="module")
def clip() -> list[People2D]:
    networks = open_model(pulled("efficientdet_lite0")), open_model(pulled("blazepose_landmarks"))
    return list(PoseTracker(BlazePosePeople(*networks)).follow(moments(pulled("demo_clip"))))


def ids(clip: list[People2D], man: bool, first: int, last: int) -> dict[int, float]:
    """The ids that the man or the woman has in these pictures, and in which share of them."""
    shares: dict[int, float] = {}
    for number in range(first, last + 1):
        for person, (x_px, y_px, _) in zip(clip[number].person.tolist(), clip[number].keypoints.mean(1)):
            if man == (y_px < ROOF_Y_PX if number < LEAP else x_px > WOMAN_X_PX):
                shares[person] = shares.get(person, 0) + 1 / (last + 1 - first)
    return shares


def test_both_are_followed_under_one_id_each(clip):
    (man,), (woman,) = ids(clip, True, 0, 160), ids(clip, False, 42, 200)
    assert ids(clip, True, 0, 160)[man] >= 0.97
    assert ids(clip, False, 42, 200)[woman] >= 0.97
    assert {*range(1, 3)} == {man, woman}


def test_the_man_has_the_same_id_after_his_leap(clip):
    (man,) = ids(clip, True, 0, 160)
    again = ids(clip, True, 192, 226)
    assert [*again] == [man] and again[man] >= 0.85


def test_noise_is_nobody():
    """Grain and blobs, at the first pictures, when the finder looks at everything."""
    networks = open_model(pulled("efficientdet_lite0")), open_model(pulled("blazepose_landmarks"))
    rng = np.random.default_rng(0)
    for size_px in (1, 5, 40):
        picture = cv2.resize(rng.integers(0, 256, (360 // size_px, 640 // size_px, 3), np.uint8), (640, 360))
        found = PoseTracker(BlazePosePeople(*networks)).follow((picture, number * 33_333_333) for number in range(8))
        assert not any(len(people.person) for people in found)


def test_there_is_no_third_person(clip):
    assert {person for people in clip for person in people.person.tolist()} == {1, 2}
    assert max(len(people.person) for people in clip) == 2
