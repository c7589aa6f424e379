"""Pictures as the window shows them, against the plain way: decode, resize, convert."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from poselift.app.view.decoder import Decoder
from poselift.app.view.history import CompressedImage


def picture(width_px: int, height_px: int, turned: bool = False) -> np.ndarray:
    across, down = np.meshgrid(np.linspace(0, 255, width_px), np.linspace(0, 255, height_px))
    found = np.stack([across, down, 255 - across], -1).astype(np.uint8)
    return found[::-1, ::-1] if turned else found


def image(bgr: np.ndarray, frame: int = 0) -> CompressedImage:
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return CompressedImage(frame, frame, bgr.shape[1], bgr.shape[0], data)


@pytest.mark.parametrize(("width_px", "height_px"), [(680, 381), (800, 450), (500, 281), (399, 224), (100, 56)])
def test_a_picture_has_the_size_in_which_it_is_shown_and_its_own_colours(width_px: int, height_px: int) -> None:
    bgr = picture(800, 450)
    found = Decoder().decode(image(bgr), width_px, height_px)
    assert found is not None
    assert found.shape == (height_px, width_px, 4)
    assert (found[..., 3] == 255).all()
    wanted = cv2.resize(bgr, (width_px, height_px), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert np.abs(found[..., :3].astype(int) - wanted).max() <= 8


def test_a_picture_that_is_smaller_keeps_its_size() -> None:
    found = Decoder().decode(image(picture(320, 240)), 680, 510)
    assert found is not None
    assert found.shape == (240, 320, 4)


@pytest.mark.parametrize("width_px", [680, 800])
def test_the_next_picture_takes_the_memory_of_the_one_before_and_nothing_else_of_it(width_px: int) -> None:
    decoder, height_px = Decoder(), round(width_px * 450 / 800)
    first = decoder.decode(image(picture(800, 450)), width_px, height_px)
    second = decoder.decode(image(picture(800, 450, turned=True), 1), width_px, height_px)
    alone = Decoder().decode(image(picture(800, 450, turned=True), 1), width_px, height_px)
    assert second is first
    np.testing.assert_array_equal(second, alone)


def test_another_size_comes_out_whole() -> None:
    decoder = Decoder()
    for width_px, height_px in ((680, 381), (300, 169), (790, 444), (680, 381)):
        found = decoder.decode(image(picture(800, 450)), width_px, height_px)
        np.testing.assert_array_equal(found, Decoder().decode(image(picture(800, 450)), width_px, height_px))


@pytest.mark.parametrize("data", [b"", b"no picture", image(picture(64, 48)).data[:40]])
def test_a_damaged_picture_is_none(data: bytes) -> None:
    assert Decoder().decode(CompressedImage(0, 0, 64, 48, data), 64, 48) is None
