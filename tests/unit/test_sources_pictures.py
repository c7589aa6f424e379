from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from made_video import numbered

from poselift.app.config import CaptureConfig
from poselift.common.errors import UserError
from poselift.workers.sources import CapturedPicture, Lost, open_source
from poselift.workers.sources.pattern import read_number
from poselift.workers.sources.pictures import DARK, max_sample_value


def fill(folder, names):
    """Picture i of the pattern under the i-th name."""
    for name, pixels in zip(names, numbered(len(names))):
        assert cv2.imwrite(str(folder / name), pixels)


def read(folder, fps=None):
    source = open_source(CaptureConfig(source=str(folder), fps=fps))
    return [(p.pixels.copy(), p.t_ns) for p in source if isinstance(p, CapturedPicture)], source


def numbers(folder):
    """Of every file in turn, the number in its picture, or None where it is lost."""
    taken = []
    for given in open_source(CaptureConfig(source=str(folder))):
        taken += [None] * given.pictures if isinstance(given, Lost) else [read_number(given.pixels)]
    return taken


def test_in_the_order_a_person_counts(tmp_path):
    fill(tmp_path, ["IMG1.PNG", "img2.png", "img9b.png", "img10.png", "img10a.png", "img100.png", "other.png", "²2.png"])
    taken, source = read(tmp_path)
    assert [read_number(pixels) for pixels, _ in taken] == list(range(8))
    assert (source.live, source.fps, source.frames, source.note) == (False, 30.0, 8, "")


def test_times_by_the_rate_asked_for(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(5)])
    assert [t for _, t in read(tmp_path, fps=12.5)[0]] == [0, 80_000_000, 160_000_000, 240_000_000, 320_000_000]
    assert [t for _, t in read(tmp_path)[0]][1:3] == [33_333_333, 66_666_666]


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"])
def test_the_formats(tmp_path, ending):
    fill(tmp_path, [f"{i}.{ending}" for i in range(2)])
    taken, _ = read(tmp_path)
    assert [read_number(pixels) for pixels, _ in taken] == [0, 1]


def test_sizes_depths_and_channels_may_differ(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((40, 60), 128, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((20, 30, 4), 128, np.uint8))
    cv2.imwrite(str(tmp_path / "3.png"), np.full((21, 31, 3), 128 * 257, np.uint16))
    taken, _ = read(tmp_path)
    assert [pixels.shape for pixels, _ in taken] == [(40, 60, 3), (20, 30, 3), (21, 31, 3)]
    for pixels, _ in taken:
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert (pixels == 128).all()


def test_an_unreadable_picture_keeps_its_time_and_is_told(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(5)])
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes(b"not a picture")
    taken, source = read(tmp_path, fps=10)
    assert [(read_number(pixels), t) for pixels, t in taken] == [(1, 10**8), (2, 2 * 10**8), (4, 4 * 10**8)]
    assert source.note == "2 of 5 pictures could not be read whole and are left out (the first: 0.png)"
    assert numbers(tmp_path) == [None, 1, 2, None, 4]


@pytest.mark.parametrize("damage", ["a third of it", "its second half zero", "noise in its middle", "without its last bytes"])
@pytest.mark.parametrize("ending", ["jpg", "progressive.jpg", "png", "tif"])
def test_a_damaged_picture_is_none(tmp_path, capfd, damage, ending):
    fill(tmp_path, [f"{i}.{ending}" for i in range(4)])
    if ending == "progressive.jpg":
        for number, pixels in enumerate(numbered(4)):
            cv2.imwrite(str(tmp_path / f"{number}.{ending}"), pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    whole = (tmp_path / f"1.{ending}").read_bytes()
    third, half = len(whole) // 3, len(whole) // 2
    noise = np.random.default_rng(5).integers(0, 256, third, np.uint8).tobytes()
    (tmp_path / f"1.{ending}").write_bytes(
        {
            "a third of it": whole[:third],
            "its second half zero": whole[:half] + bytes(len(whole) - half),
            "noise in its middle": whole[:third] + noise + whole[2 * third :],
            "without its last bytes": whole[:-40],
        }[damage]
    )
    taken, source = read(tmp_path)
    assert [read_number(pixels) for pixels, _ in taken] == [0, 2, 3]
    assert source.note == f"1 of 4 pictures could not be read whole and are left out (the first: 1.{ending})"
    assert numbers(tmp_path) == [0, None, 2, 3]
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_whose_pixels_are_all_there_is_whole(tmp_path):
    fill(tmp_path, [f"{i}.jpg" for i in range(3)])
    whole = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:-2])  # the end's mark is missing
    (tmp_path / "1.jpg").write_bytes(whole[:-2] + b"\0\0\0" + whole[-2:])  # as some cameras write it
    (tmp_path / "2.jpg").write_bytes((tmp_path / "2.jpg").read_bytes() + b"more" * 99)
    assert numbers(tmp_path) == [0, 1, 2]


EXIF_SHOWS = {  # where the picture's first row and first column are to be seen (EXIF 2.3, 4.6.4 A, Orientation)
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", EXIF_SHOWS)
def test_turned_and_mirrored_as_the_exif_says(tmp_path, orientation):
    coded = cv2.imencode(".jpg", numbered(1)[0])[1].tobytes()
    stored = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    # EXIF in an APP1 segment: a TIFF header and one entry, tag 0x0112 (orientation)
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([orientation]) + bytes(6)
    segment = b"Exif\x00\x00" + tiff
    (tmp_path / "a.jpg").write_bytes(coded[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + coded[2:])
    ((shown, _),), _ = read(tmp_path)
    first_row, first_column = EXIF_SHOWS[orientation]
    edges = {"top": shown[0], "bottom": shown[-1], "left": shown[:, 0], "right": shown[:, -1]}
    begins = {"left": slice(None), "top": slice(None), "right": slice(None, None, -1), "bottom": slice(None, None, -1)}
    np.testing.assert_array_equal(edges[first_row][begins[first_column]], stored[0])
    np.testing.assert_array_equal(edges[first_column][begins[first_row]], stored[:, 0])


def a_tiff(pixels: np.ndarray, bits: int, **tags: int) -> bytes:
    """An uncompressed TIFF 6.0 of one strip: pixels [height, width, 3] RGB, 12 bits packed or 16, with these tags more (as t281=4095)."""
    height, width = pixels.shape[:2]
    samples = pixels.reshape(height, -1).astype("<u2")
    if bits == 12:
        even, odd = samples[:, ::2], samples[:, 1::2]
        samples = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], -1).astype(np.uint8)
    body = samples.tobytes()
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: 2, 273: 8, 277: 3, 278: height, 279: len(body)}
    entries.update({int(name[1:]): value for name, value in tags.items()})
    begin = 8 + len(body)
    beyond = begin + 2 + 12 * len(entries) + 4
    directory, values = b"", b""
    for tag, value in sorted(entries.items()):
        if tag in (258, 281):  # one of each colour
            directory += struct.pack("<HHII", tag, 3, 3, beyond + len(values))
            values += struct.pack("<3H", value, value, value)
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", begin) + body + struct.pack("<H", len(entries)) + directory + bytes(4) + values


@pytest.mark.parametrize(
    ("bits", "white", "tags", "dark"),
    [
        (16, 65535, {}, False),
        (12, 4095, {}, False),
        (16, 4095, {"t281": 4095}, False),
        (16, 1023, {"t281": 1023}, False),
        (16, 4095, {}, True),
    ],
    ids=["16", "12 packed", "12 of 16, stated", "10 of 16, stated", "12 of 16, not stated"],
)
def test_depths_of_a_tiff(tmp_path, bits, white, tags, dark):
    ramp = np.linspace(0, 1, 64)
    rgb = np.stack([np.tile(ramp, (8, 1)), np.tile(ramp[::-1], (8, 1)), np.full((8, 64), 0.5)], -1)
    (tmp_path / "a.tif").write_bytes(a_tiff(np.round(white * rgb), bits, **tags))
    ((pixels, _),), source = read(tmp_path)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[..., ::-1], 255 * rgb / (16 if dark else 1), atol=1)
    assert source.note == (f"1 of 1 pictures {DARK} (the first: a.tif)" if dark else "")


def test_a_tiff_that_points_nowhere_says_nothing_of_its_white():
    whole = a_tiff(np.zeros((8, 64, 3)), 16, t281=4095)
    assert max_sample_value(whole) == 4095
    assert [max_sample_value(whole[:length]) for length in (0, 3, 8, len(whole) - 90, len(whole) - 6)] == [0] * 5
    assert max_sample_value(b"II*\0\xff\xff\xff\xff") == 0


@pytest.mark.parametrize("names", [[], ["notes.txt"], [".hidden.png"]])
def test_no_pictures(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=r"no pictures in this folder; it needs files ending in \.jpg"):
        read(tmp_path)


def test_not_one_that_can_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"none of the 1 pictures .* a\.png"):
        read(tmp_path)
