from __future__ import annotations

import numpy as np
import pytest

from poselift.common.sizes import fitted, same_shape


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((1280, 720), (640, 360), True),
        ((1280, 720), (853, 480), True),  # 853.3
        ((1280, 720), (426, 240), True),
        ((1280, 720), (720, 1280), False),
        ((1280, 720), (1280, 724), False),
        ((640, 480), (640, 360), False),
        ((0, 0), (640, 360), False),
    ],
)
def test_same_shape(one, other, same):
    assert same_shape(one, other) == same


def test_fitted_into_the_middle():
    corners = np.array([[-0.5, -0.5, 0.3], [99.5, 49.5, np.nan]], np.float32)  # the outer edges of a picture of 100 x 50
    np.testing.assert_allclose(fitted(corners, (100, 50), (200, 100))[:, :2], [[-0.5, -0.5], [199.5, 99.5]])
    np.testing.assert_allclose(fitted(corners, (100, 50), (100, 150))[:, :2], [[-0.5, 49.5], [99.5, 99.5]])
    np.testing.assert_array_equal(fitted(corners, (100, 50), (60, 30))[:, 2], corners[:, 2])
    assert fitted(corners, (100, 50), (100, 50)) is corners


def test_what_is_missing_stays_so():
    keypoints = np.array([(0, 0, 0), (0, 0, 0.5), (9, 0, 0)], np.float32)
    assert fitted(keypoints, (100, 50), (200, 150)).tolist() == [[0, 0, 0], [0.5, 25.5, 0.5], [18.5, 25.5, 0]]
