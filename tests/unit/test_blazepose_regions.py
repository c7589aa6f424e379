"""Regions of interest: turned upright from the alignment points; in and out of the picture without loss."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from poselift.models.detection.blazepose_regions import around_body, cut_out, to_picture, transform, whole_picture


@pytest.mark.parametrize("angle_deg", [0, 30, -75, 90, 180])
def test_region_stands_upright_on_a_turned_person(angle_deg: float):
    angle = np.deg2rad(angle_deg)
    hip, radius_px = np.array([400.0, 300.0]), 120.0
    circle = hip + radius_px * np.array([np.sin(angle), -np.cos(angle)])
    region = around_body(hip, circle)
    assert (region.x_px, region.y_px) == (400, 300)
    assert region.side_px == pytest.approx(2 * radius_px * 1.25)
    # MediaPipe's formula: rotation = 90 degrees - atan2(-(y1 - y0), x1 - x0), then a rotated square around the centre.
    rotation = np.pi / 2 - np.arctan2(-(circle - hip)[1], (circle - hip)[0])
    turn = np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [0, 0]])
    expected = hip + region.side_px * square @ turn.T
    corners = np.array([[0, 0], [256, 0], [256, 256], [0, 256], [128, 128]])
    np.testing.assert_allclose(transform(corners, to_picture(region, 256)), expected, atol=1e-9)


def test_out_of_the_region_and_back_is_the_same_place():
    region = around_body(np.array([913.3, 407.9]), np.array([1011.1, 222.2]))
    matrix = to_picture(region, 256)
    points = np.random.default_rng(0).uniform(-50, 300, (100, 2))
    back = transform(transform(points, matrix), cv2.invertAffineTransform(matrix))
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_cut_out_shows_what_lies_at_the_places_the_matrix_names():
    rows, columns = np.mgrid[0:480, 0:640]
    picture = np.stack([columns * 0.25, rows * 0.25, (rows + columns) * 0.1], axis=-1)
    matrix = to_picture(around_body(np.array([310.0, 240.0]), np.array([350.0, 180.0])), 256)
    cut = cut_out(picture.round().astype(np.uint8), matrix, 256, cv2.BORDER_REPLICATE)
    assert cut.shape == (1, 256, 256, 3) and cut.dtype == np.uint8
    grid = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1)
    x, y = np.moveaxis(transform(grid, matrix), -1, 0)
    expected = np.stack([(x + y) * 0.1, y * 0.25, x * 0.25], axis=-1)  # RGB
    assert np.abs(cut[0] - expected).max() < 1.6


def test_whole_picture_is_letterboxed_in_black():
    picture = np.full((90, 160, 3), 255, np.uint8)
    cut = cut_out(picture, to_picture(whole_picture(160, 90), 224), 224, cv2.BORDER_CONSTANT)[0]
    bright = np.flatnonzero(cut[:, 112, 0] > 127)
    assert abs(len(bright) - 224 * 90 / 160) <= 2 and abs(bright.mean() - 112) <= 1
    assert (cut[112, :222] == 255).all() and (cut[:47] == 0).all() and (cut[-47:] == 0).all()
