"""The colours of a torso."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from poselift.models.tracking.looks import FIRST, likeness, likeness_in_other_light, looks_of

RED, GREEN, GREY = (40, 40, 180), (60, 150, 60), (120, 120, 120)


def person(x_px: float = 200, y_px: float = 150, turn: float = 0.0, sure: float = 0.9) -> np.ndarray:
    """Shoulders and hips around a place, 60 px wide and 100 high, turned by so many degrees."""
    keypoints = np.zeros((17, 3), np.float32)
    corners = np.array([(30, -50), (-30, -50), (30, 50), (-30, 50)]) @ cv2.getRotationMatrix2D((0, 0), turn, 1)[:, :2].T
    keypoints[[5, 6, 11, 12], :2] = corners + np.array([x_px, y_px])
    keypoints[:, 2] = sure
    return keypoints


def picture(colour: tuple[int, int, int], light: float = 1.0, x_px: int = 200) -> np.ndarray:
    """A shirt of this colour before a blue wall, with noise."""
    shown = np.full((300, 400, 3), (200, 120, 60), np.float64)
    shown[80:220, x_px - 40 : x_px + 40] = colour
    noise = np.random.default_rng(0).normal(0, 6, shown.shape)
    return np.clip(shown * light + noise, 0, 255).astype(np.uint8)


def test_each_part_of_the_looks_is_shares():
    looks = looks_of(picture(RED), person())
    np.testing.assert_allclose(np.add.reduceat(looks, FIRST), 1)
    assert (looks >= 0).all()


@pytest.mark.parametrize("turn", [0, 15, 180])
def test_the_same_shirt_is_alike_and_another_is_not(turn):
    red = looks_of(picture(RED), person())
    assert likeness(red, looks_of(picture(RED, x_px=210), person(210, 150, turn))) > 0.8
    for other in (GREEN, GREY):
        looks = looks_of(picture(other), person(200, 150, turn))
        assert likeness(red, looks) < 0.05 and likeness_in_other_light(red, looks) < 0.35


def test_in_another_light_the_same_shirt_is_more_alike_than_another():
    red, darker = looks_of(picture(RED), person()), looks_of(picture(RED, 0.8), person())
    assert likeness_in_other_light(red, darker) > 0.35 > likeness_in_other_light(red, looks_of(picture(GREEN), person()))


def test_who_is_not_seen_has_no_looks():
    assert looks_of(picture(RED), person(sure=0.3)) is None
    assert looks_of(picture(RED), person(500)) is None
    assert looks_of(picture(RED), person() * np.array([0.01, 0.01, 1], np.float32)) is None


def test_a_torso_that_leaves_the_picture_is_seen_as_far_as_it_is_in_it():
    assert looks_of(picture(RED, x_px=40), person(5)) is not None


def test_from_the_side_it_is_the_torso_all_the_same():
    side = person()
    side[[5, 6, 11, 12], 0] = 200
    assert likeness(looks_of(picture(RED), side), looks_of(picture(RED), person())) > 0.8
