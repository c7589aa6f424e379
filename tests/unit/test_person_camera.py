"""The person's own camera, by an independent pinhole camera and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from poselift.common.camera import FOCAL_OF_LONGER_SIDE
from poselift.models.lifting.person_camera import FEATURES, body_scale_m, observe, to_camera, to_virtual

WIDTH, HEIGHT, FOCAL = 1920, 1080, 1500.0
RAY = slice(51, 54)
SIZE = 54
BONES = slice(55, 67)


def person(at: tuple[float, float, float] = (0, 0, 0), seed: int = 0) -> np.ndarray:
    """17 points in a body of 1.7 m, metres, y down, around `at`."""
    return np.random.default_rng(seed).uniform((-0.4, -0.9, -0.3), (0.4, 0.8, 0.3), (17, 3)) + np.array(at)


def pixels(points: np.ndarray) -> np.ndarray:
    """Keypoints of confidence 1, one by one by the pinhole formula."""
    return np.array([(WIDTH / 2 + FOCAL * x / z, HEIGHT / 2 + FOCAL * y / z, 1.0) for x, y, z in points])


def about_y(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])


def about_x(angle: float) -> np.ndarray:
    return np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])


def body_part(features: np.ndarray) -> np.ndarray:
    """All features but the ray."""
    return np.delete(features, np.r_[RAY], -1)


def test_features_are_as_many_as_promised_and_float32() -> None:
    features, view = observe(pixels(person((0, 0, 4))), WIDTH, HEIGHT)
    assert features.shape == (FEATURES[17],) == (67,)
    assert features.dtype == view.dtype == np.float32


@pytest.mark.parametrize("pan", [-0.4, 0.05, 0.5])
def test_panning_the_camera_changes_nothing_but_the_ray(pan: float) -> None:
    points = person((0.5, -0.4, 4))
    before, _ = observe(pixels(points), WIDTH, HEIGHT, FOCAL)
    after, _ = observe(pixels(points @ about_y(pan).T), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(body_part(after), body_part(before), atol=2e-5)
    np.testing.assert_allclose(after[RAY], about_y(pan) @ before[RAY], atol=1e-5)
    assert np.abs(after[RAY] - before[RAY]).max() > 0.04


def test_tilting_the_camera_before_a_person_straight_ahead_changes_nothing_but_the_ray() -> None:
    points = person((0, 0, 5))
    points[9:] = points[:8] * (-1, 1, 1)  # as far to the left as to the right
    points[8, 0] = 0
    before, _ = observe(pixels(points), WIDTH, HEIGHT, FOCAL)
    after, _ = observe(pixels(points @ about_x(0.3).T), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(body_part(after), body_part(before), atol=0.02)
    np.testing.assert_allclose(after[RAY], about_x(0.3) @ before[RAY], atol=0.01)


def test_the_pose_in_the_virtual_camera_turns_back_into_the_real_one() -> None:
    points = person((1.2, -0.8, 4))
    _, view = observe(pixels(points), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(view) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(to_camera(to_virtual(points, view), view), points, atol=1e-5)


def test_the_virtual_camera_sees_what_the_features_say() -> None:
    points = person((1.2, -0.8, 4))
    features, view = observe(pixels(points), WIDTH, HEIGHT, FOCAL)
    in_virtual = np.array([[axis @ point for axis in view.astype(float)] for point in points])
    plane = in_virtual[:, :2] / in_virtual[:, 2:]
    size = np.abs(plane).max()
    np.testing.assert_allclose(features[:51].reshape(17, 3)[:, :2], plane / size, atol=1e-4)
    assert features[SIZE] == pytest.approx(4 * size, rel=1e-4)
    assert view[0, 1] == 0  # the virtual x axis stays in the real x-z plane
    elbow_to_wrist = np.linalg.norm(plane[7] - plane[9]) / size
    assert features[BONES][2] == pytest.approx(elbow_to_wrist, abs=1e-4)


def test_a_person_straight_ahead_is_seen_by_the_camera_as_it_is() -> None:
    points = person((0, 0, 6))
    points[:4] = (-0.5, 0, 6), (0.5, 0, 6), (0, -0.95, 6), (0, 0.95, 6)
    _, view = observe(pixels(points), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(view, np.eye(3), atol=1e-6)


def test_distance_changes_the_size_alone() -> None:
    flat = person() * (1, 1, 0)  # so that perspective is the same from everywhere
    near_points, far_points = flat + np.array([0, 0, 3]), flat + np.array([0, 0, 9])
    near, _ = observe(pixels(near_points), WIDTH, HEIGHT, FOCAL)
    far, _ = observe(pixels(far_points), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(near[:51], far[:51], atol=0.02)
    assert near[SIZE] / far[SIZE] == pytest.approx(3, rel=0.02)
    twice, _ = observe(pixels(near_points * 2), WIDTH, HEIGHT, FOCAL)
    np.testing.assert_allclose(twice, near, atol=1e-5)


@pytest.mark.parametrize("missing", [(np.nan, 500, 1), (500, np.inf, 1), (500, 500, np.nan), (9e4, -9e4, 0), (-7, 3, -1)])
def test_a_missing_keypoint_touches_nothing_but_its_own_features(missing: tuple[float, float, float]) -> None:
    points = person((0.3, 0, 4))
    points[10] = (0.3, 0, 4)  # well inside the box
    keypoints = pixels(points)
    whole, whole_view = observe(keypoints, WIDTH, HEIGHT, FOCAL)
    keypoints[10] = missing
    holed, holed_view = observe(keypoints, WIDTH, HEIGHT, FOCAL)
    np.testing.assert_array_equal(holed_view, whole_view)
    np.testing.assert_array_equal(holed[30:33], 0)
    assert holed[BONES][3] == 0  # elbow to wrist, on its side
    others = np.delete(np.arange(FEATURES[17]), [30, 31, 32, 55 + 3])
    np.testing.assert_array_equal(holed[others], whole[others])


def test_a_lost_person_keeps_the_view_of_where_they_were() -> None:
    keypoints = pixels(person((1, 0, 4)))
    seen, seen_view = observe(keypoints, WIDTH, HEIGHT)
    keypoints[:, 2] = 0
    lost, lost_view = observe(keypoints, WIDTH, HEIGHT)
    np.testing.assert_array_equal(lost_view, seen_view)
    np.testing.assert_array_equal(lost[RAY], seen[RAY])
    assert lost[SIZE] == seen[SIZE]
    np.testing.assert_array_equal(lost[:51], 0)
    np.testing.assert_array_equal(lost[BONES], 0)


def test_nothing_at_all_is_looked_at_straight_ahead() -> None:
    features, view = observe(np.full((17, 3), np.nan), WIDTH, HEIGHT)
    np.testing.assert_array_equal(view, np.eye(3))
    assert np.isfinite(features).all()


@pytest.mark.parametrize("wild", [0.0, np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_what_goes_out_is_finite(wild: float) -> None:
    for place in range(51):
        keypoints = pixels(person((0, 0, 4))).astype(np.float32)
        keypoints.reshape(-1)[place] = wild
        features, view = observe(keypoints, WIDTH, HEIGHT)
        assert np.isfinite(features).all()
        assert np.isfinite(view).all()
    alone = np.zeros((17, 3), np.float32)
    alone[4] = (wild, 3, 1)
    assert np.isfinite(observe(alone, WIDTH, HEIGHT)[0]).all()


def test_an_unknown_focal_length_is_the_stated_multiple_of_the_longer_side() -> None:
    keypoints = pixels(person((0.7, 0.2, 4)))
    for width, height in [(1920, 1080), (1080, 1920)]:
        assumed, _ = observe(keypoints, width, height)
        stated, _ = observe(keypoints, width, height, FOCAL_OF_LONGER_SIDE * 1920)
        np.testing.assert_array_equal(assumed, stated)
        longer, _ = observe(keypoints, width, height, 2 * FOCAL_OF_LONGER_SIDE * 1920)
        assert longer[SIZE] == pytest.approx(stated[SIZE] / 2, rel=0.2)


def test_many_at_once_are_as_one_by_one() -> None:
    many = np.stack([[pixels(person((0.3 * i, 0, 4), seed=10 * i + j)) for j in range(3)] for i in range(2)])
    many[0, 1, 5] = np.nan
    features, view = observe(many, WIDTH, HEIGHT, FOCAL)
    assert features.shape == (2, 3, FEATURES[17])
    for i in range(2):
        for j in range(3):
            one, one_view = observe(many[i, j], WIDTH, HEIGHT, FOCAL)
            np.testing.assert_allclose(features[i, j], one, atol=1e-6)
            np.testing.assert_allclose(view[i, j], one_view, atol=1e-6)
    assert to_camera(np.zeros((2, 3, 17, 3)), view).shape == (2, 3, 17, 3)


def test_nobody_is_an_empty_answer() -> None:
    features, view = observe(np.zeros((0, 17, 3)), WIDTH, HEIGHT)
    assert features.shape == (0, FEATURES[17])
    assert view.shape == (0, 3, 3)


def test_the_unit_is_thigh_shank_and_trunk_of_a_height() -> None:
    assert body_scale_m(1.7) == pytest.approx(1.7 * (0.245 + 0.246 + 0.288))


def test_feet_are_seen_in_the_box_of_the_body_and_change_nothing_else() -> None:
    body = pixels(person((0.3, -0.2, 4)))
    feet = pixels(np.array([(0.2, 1.4, 4), (0.25, 1.5, 3.8), (0.5, 1.4, 4), (0.55, 1.5, 3.8)]))
    features, view = observe(np.concatenate([body, feet]), WIDTH, HEIGHT, FOCAL)
    alone, view_alone = observe(body, WIDTH, HEIGHT, FOCAL)
    assert features.shape == (FEATURES[21],) == (63 + 4 + 18 + 21,)
    np.testing.assert_array_equal(view, view_alone)
    np.testing.assert_array_equal(features[:51], alone[:51])
    np.testing.assert_array_equal(features[63 : 63 + 16], alone[51:])
    rays = np.concatenate([(feet[:, :2] - (WIDTH / 2, HEIGHT / 2)) / FOCAL, np.ones((4, 1))], 1) @ view.T
    expected = rays[:, :2] / rays[:, 2:] / (alone[54] / 4)
    np.testing.assert_allclose(features[51:63].reshape(4, 3)[:, :2], expected, atol=1e-5)
    lengths = [math.hypot(*(expected[a] - expected[b])) for a, b in ((0, 1), (2, 3))]  # heels to toes, one unit apart
    np.testing.assert_allclose(features[[-21 - 5, -21 - 2]], lengths, atol=1e-5)


def test_feet_that_are_missing_are_zeros() -> None:
    body = pixels(person((0.3, -0.2, 4)))
    features, _ = observe(np.concatenate([body, np.zeros((4, 3))]), WIDTH, HEIGHT, FOCAL)
    assert not features[51:63].any() and not features[-21 - 6 :].any()


def test_depths_are_on_the_scale_of_the_box_and_unknown_ones_are_zeros() -> None:
    """As for x and y: half the box is 1. What nobody tells, or of what is missing, is 0; what is absurd is limited."""
    points = np.concatenate([pixels(person((0.3, -0.2, 4))), np.zeros((4, 3))])
    depth_px = np.arange(21.0)
    depth_px[[2, 3]] = np.nan, 1e9
    features, _ = observe(points, WIDTH, HEIGHT, FOCAL, depth_px)
    half_box_px = FOCAL * features[66] / 4
    expected = np.where(np.arange(21) < 17, np.arange(21) / half_box_px, 0)
    expected[[2, 3]] = 0, 4
    np.testing.assert_allclose(features[-21:], expected, rtol=1e-5)
    np.testing.assert_array_equal(observe(points, WIDTH, HEIGHT, FOCAL)[0][:-21], features[:-21])
    np.testing.assert_array_equal(
        observe(points[:17], WIDTH, HEIGHT, FOCAL, depth_px[:17])[0], observe(points[:17], WIDTH, HEIGHT, FOCAL)[0]
    )
