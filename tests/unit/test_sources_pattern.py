from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from poselift.app.config import CaptureConfig
from poselift.common.errors import UserError
from poselift.workers.sources import open_source
from poselift.workers.sources.pattern import read_number, write_number


def take(source: str, count: int):
    return [(p.pixels.copy(), p.t_ns) for p in itertools.islice(open_source(CaptureConfig(source=source)), count)]


def test_size_rate_and_times():
    source = open_source(CaptureConfig(source="test:320x200@29.97"))
    assert (source.live, source.fps, source.frames, source.note) == (False, 29.97, None, "")
    for number, picture in enumerate(itertools.islice(source, 100)):
        assert picture.pixels.shape == (200, 320, 3)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.flags.c_contiguous
        assert picture.t_ns == number * 10**11 // 2997


def test_ends_where_asked():
    source = open_source(CaptureConfig(source="test:64x32@5,frames=7"))
    assert source.frames == 7
    assert len(list(source)) == 7


def test_the_same_every_time_and_never_twice_the_same():
    first, again = take("test:96x64@30", 60), take("test:96x64@30", 60)
    for (a, _), (b, _) in zip(first, again):
        np.testing.assert_array_equal(a, b)
    inside = [a[8:-8] for a, _ in first]
    assert all((a != b).mean() > 0.3 for a, b in zip(inside, inside[1:]))


@pytest.mark.parametrize("size", ["64x32", "67x35", "640x480", "1920x1080"])
def test_every_picture_carries_its_number(size):
    for number, (pixels, _) in enumerate(take(f"test:{size}@30", 12)):
        assert read_number(pixels) == number


def test_the_number_survives_jpeg_and_scaling():
    pixels = take("test:640x480@30", 1)[0][0]
    for number in (0, 1, 0x5555, 0xABCDEF, 0xFFFFFF):
        write_number(pixels, number)
        assert read_number(cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)) == number
        assert read_number(cv2.resize(pixels, (301, 173), interpolation=cv2.INTER_AREA)) == number
    write_number(pixels, 0x1000001)
    assert read_number(pixels) == 1


def test_a_torn_picture_is_told():
    (first, _), (second, _) = take("test:128x64@30", 2)
    first[32:] = second[32:]
    with pytest.raises(ValueError, match="torn picture: 0 at the top, 1 at the bottom"):
        read_number(first)


def test_a_wrong_bit_is_told():
    pixels = take("test:128x64@30", 1)[0][0]
    for bit in range(32):
        broken = pixels.copy()
        broken[:, bit * 4 : bit * 4 + 4] ^= 255
        with pytest.raises(ValueError, match="not a picture of the test pattern"):
            read_number(broken)


@pytest.mark.parametrize("value", [0, 255, 127])
def test_other_pictures_have_no_number(value):
    with pytest.raises(ValueError, match="not a picture of the test pattern"):
        read_number(np.full((64, 128, 3), value, np.uint8))


@pytest.mark.parametrize(
    "source",
    [
        "test:",
        "test:640x480",
        "test:640x480@",
        "test:640x480@0",
        "test:640x480@1001",
        "test:8x480@30",
        "test:640x8@30",
        "test:99999x480@30",
        "test:640x480@30,frames=",
        "test:640x480@30,frames=-1",
        "test:640x480@30,color=red",
        "test:axb@c",
    ],
)
def test_a_malformed_pattern_is_refused_with_the_form(source):
    with pytest.raises(UserError) as error:
        open_source(CaptureConfig(source=source))
    text = str(error.value)
    assert text.startswith(f"{source}: ")
    assert "test:640x480@30,frames=300" in text
    assert "\n" not in text
