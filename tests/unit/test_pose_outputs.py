"""SimCC and heatmaps of known maxima, and what is neither."""

from __future__ import annotations

import numpy as np
import pytest

from poselift.models.detection.pose_outputs import decode_heatmaps, decode_simcc, form_of

WIDTH, HEIGHT = 192, 256


def gaussians(places: np.ndarray, shape: tuple[int, int], sigma: float = 2.0) -> np.ndarray:
    """float32[1, 17, *shape]: heatmaps of keypoints at these places [17, 2], px."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return np.exp(-away / (2 * sigma**2))[np.newaxis].astype(np.float32)


def test_simcc_is_where_the_largest_values_are_and_as_sure_as_the_smaller_of_both():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 0.1, (1, 17, 2 * WIDTH)).astype(np.float32), rng.uniform(0, 0.1, (1, 17, 2 * HEIGHT)).astype(np.float32)
    bins = rng.integers(0, 2 * WIDTH, 17), rng.integers(0, 2 * HEIGHT, 17)
    values = rng.uniform(0.2, 1, (2, 17)).astype(np.float32)
    x[0, np.arange(17), bins[0]], y[0, np.arange(17), bins[1]] = values
    found = decode_simcc(x, y)
    np.testing.assert_allclose(found[:, :2] * [WIDTH, HEIGHT], np.stack(bins, -1) / 2)
    np.testing.assert_array_equal(found[:, 2], values.min(0))


@pytest.mark.parametrize("shape", [(64, 48), (96, 72), (32, 24)])
def test_a_gaussian_in_a_heatmap_is_found_between_the_pixels(shape):
    rng = np.random.default_rng(1)
    places = rng.uniform(6, np.array(shape[::-1]) - 7, (17, 2))
    found = decode_heatmaps(gaussians(places, shape))
    np.testing.assert_allclose(found[:, :2] * (np.array(shape[::-1]) - 1), places, atol=0.01)
    assert (found[:, 2] > 0.9).all()


def test_the_first_and_the_last_pixel_of_a_heatmap_are_on_the_edges_of_the_region():
    maps = np.zeros((1, 17, 64, 48), np.float32)
    maps[0, :, 63, 47] = 0.8
    maps[0, 0] = 0
    maps[0, 0, 0, 0] = 0.6
    found = decode_heatmaps(maps)
    np.testing.assert_allclose(found[0], [0, 0, 0.6], atol=0.03)
    np.testing.assert_allclose(found[1:], np.tile([1, 1, 0.8], (16, 1)), atol=0.03)


@pytest.mark.parametrize("level", [0.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 3e38])
def test_a_heatmap_without_a_top_is_a_place_all_the_same(level):
    found = decode_heatmaps(np.full((1, 17, 64, 48), level, np.float32))
    np.testing.assert_array_equal(found[:, :2], 0)
    np.testing.assert_array_equal(found[:, 2], np.float32(level))


@pytest.mark.parametrize(
    ("shapes", "decode"),
    [
        ([(1, 17, 384), (1, 17, 512)], decode_simcc),
        ([(1, 17, 192), (1, 17, 256)], decode_simcc),
        ([(1, 17, 512), (1, 17, 384)], None),
        ([(1, 17, 0), (1, 17, 0)], None),
        ([(1, 26, 384), (1, 26, 512)], decode_simcc),
        ([(1, 26, 384), (1, 17, 512)], None),
        ([(1, 21, 384), (1, 21, 512)], None),
        ([(2, 17, 384), (2, 17, 512)], None),
        ([(1, 17, 384)], None),
        ([(1, 17, 384), (1, 17, 512), (1, 17)], None),
        ([(1, 17, 64, 48)], decode_heatmaps),
        ([(1, 17, 256, 192)], decode_heatmaps),
        ([(1, 17, 48, 64)], None),
        ([(1, 17, 64, 64)], None),
        ([(1, 133, 64, 48)], decode_heatmaps),
        ([(1, 17, 3)], None),
        ([(17,)], None),
        ([], None),
    ],
)
def test_what_a_network_gives_is_told_by_its_shapes(shapes, decode):
    form = form_of({str(number): np.zeros(shape, np.float32) for number, shape in enumerate(shapes)}, WIDTH, HEIGHT)
    assert (form and form.decode) == decode


def test_keypoints_in_whole_numbers_are_no_heatmaps():
    assert form_of({"heatmaps": np.zeros((1, 17, 64, 48), np.int64)}, WIDTH, HEIGHT) is None
