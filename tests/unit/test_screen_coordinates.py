"""VideoPose3D's screen coordinates: the formula, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from published_network import normalised_screen

from poselift.models.lifting.screen_coordinates import body_scale_m, observe, to_camera


@pytest.mark.parametrize(("width_px", "height_px"), [(1000, 1002), (1920, 1080), (480, 640), (2, 2)])
def test_the_picture_is_two_wide_and_its_middle_is_zero(width_px: int, height_px: int) -> None:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 1, (5, 17, 3)) * (width_px, height_px, 1)
    points, view = observe(keypoints, width_px, height_px)
    assert (points.dtype, view.shape) == (np.float32, (5, 0))
    np.testing.assert_allclose(points, normalised_screen(keypoints[..., :2], width_px, height_px), atol=2e-6)
    corners = np.array([[0, 0, 1], [width_px, height_px, 1], [width_px / 2, height_px / 2, 1]] * 6)[:17]
    ratio = height_px / width_px
    np.testing.assert_allclose(observe(corners, width_px, height_px)[0][:3], [[-1, -ratio], [1, ratio], [0, 0]], atol=1e-6)


def test_a_mirrored_picture_is_mirrored_coordinates() -> None:
    keypoints = np.random.default_rng(1).uniform(0, 640, (17, 3))
    mirrored = keypoints * (-1, 1, 1) + (640, 0, 0)
    np.testing.assert_allclose(observe(mirrored, 640, 480)[0], observe(keypoints, 640, 480)[0] * (-1, 1), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_goes_out_is_finite(bad: float) -> None:
    keypoints = np.ones((17, 3))
    keypoints[3, 1] = bad
    points, _ = observe(keypoints, 640, 480)
    assert np.isfinite(points).all() and (points[3] == 0).all()


def test_poses_are_metres_of_the_camera_as_they_are() -> None:
    pose = np.random.default_rng(2).normal(size=(2, 17, 3)).astype(np.float32)
    np.testing.assert_array_equal(to_camera(pose, np.zeros((2, 0))), pose)
    assert body_scale_m(1.2) == body_scale_m(2.0) == 1
