from __future__ import annotations

import gc
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from made_video import numbered, show_by, turn, write_sound, write_video

from poselift.app.config import CaptureConfig
from poselift.common.errors import UserError
from poselift.workers.sources import open_source
from poselift.workers.sources.pattern import read_number


def read(path: Path):
    """(pictures, times in ns, the source, closed)."""
    source = open_source(CaptureConfig(source=str(path)))
    taken = []
    for picture in source:
        assert picture.pixels[0].flags.c_contiguous
        taken.append((picture.pixels.copy(), picture.t_ns))
    source.close()
    return [pixels for pixels, _ in taken], [t_ns for _, t_ns in taken], source


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        open_source(CaptureConfig(source=str(path)))
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text


def test_every_picture_in_order_with_its_time(tmp_path):
    pixels, times, source = read(write_video(tmp_path / "a.mp4", numbered(30)))
    assert [read_number(picture) for picture in pixels] == list(range(30))
    assert times == [number * 40_000_000 for number in range(30)]
    assert (source.live, source.fps, source.frames, source.note) == (False, 25.0, 30, "")
    assert source.name.endswith("a.mp4")


def test_pixels_are_those_of_a_second_decoder(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(5))
    pixels, _, _ = read(path)
    judge = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    for picture in pixels:
        good, expected = judge.read()
        assert good
        assert picture.dtype == np.uint8
        np.testing.assert_allclose(picture, expected, atol=2)


def test_variable_frame_rate_keeps_each_pictures_own_time(tmp_path):
    pts_ms = [500, 533, 567, 700, 701, 1700, 1733]
    pixels, times, _ = read(write_video(tmp_path / "a.mkv", numbered(7), pts_ms))
    assert times == [(t - 500) * 1_000_000 for t in pts_ms]
    assert [read_number(picture) for picture in pixels] == list(range(7))


def test_pictures_that_are_reordered_in_the_file_come_in_order(tmp_path):
    pixels, times, _ = read(write_video(tmp_path / "a.mp4", numbered(24), codec="libx264"))
    assert [read_number(picture) for picture in pixels] == list(range(24))
    assert times == [number * 40_000_000 for number in range(24)]


@pytest.mark.parametrize("ending", ["avi", "h264"])
def test_files_without_presentation_times_increase_too(tmp_path, ending):
    codec = "libx264" if ending == "h264" else "mpeg4"
    pixels, times, source = read(write_video(tmp_path / f"a.{ending}", numbered(24), codec=codec))
    assert [read_number(picture) for picture in pixels] == list(range(24))
    assert times[0] == 0
    assert np.ptp(np.diff(times)) <= 1
    assert min(np.diff(times)) > 0
    assert source.note == ""


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_phone_gives_upright_pictures(tmp_path, degrees):
    path = write_video(tmp_path / "a.mp4", numbered(3))
    stored, _, _ = read(path)
    upright, _, _ = read(turn(path, degrees))
    judge = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    for before, after in zip(stored, upright):
        np.testing.assert_array_equal(after, np.rot90(before, -degrees // 90))
        np.testing.assert_allclose(after, judge.read()[1], atol=2)


@pytest.mark.parametrize("stored", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)], ids=["0", "90", "180", "270"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_display_matrix_is_heeded_pixel_by_pixel(tmp_path, stored, mirrored):
    path = write_video(tmp_path / "a.mp4", numbered(2))
    (before, _), _, _ = read(path)
    a, b, c, d = (-stored[0], stored[1], -stored[2], stored[3]) if mirrored else stored
    y, x = np.mgrid[: before.shape[0], : before.shape[1]]
    right, down = a * x + c * y, b * x + d * y
    expected = np.empty((np.ptp(down) + 1, np.ptp(right) + 1, 3), np.uint8)
    expected[down - down.min(), right - right.min()] = before
    (after, _), _, _ = read(show_by(path, a, b, c, d))
    np.testing.assert_array_equal(after, expected)


def test_a_picture_that_is_done_with_is_freed_at_once(tmp_path):
    """Without waiting for Python's cycle collector, which in a worker comes so rarely that hundreds of pictures lie in memory."""
    path = turn(write_video(tmp_path / "a.mp4", numbered(24)), 90)
    source = open_source(CaptureConfig(source=str(path)))
    gc.collect()
    gc.disable()
    try:
        most = max(sum(isinstance(it, av.VideoFrame) for it in gc.get_objects()) for _ in source)
    finally:
        gc.enable()
        source.close()
    assert most <= 8, "the three that were decoded at first, the decoder's, the one at hand, its conversion"


@pytest.mark.parametrize("default", [0, 1, 2, None])
def test_the_stream_that_plays_by_default_is_taken(tmp_path, default):
    """Three streams of different sizes; none of them marked: the first."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for number, size in enumerate((64, 128, 192)):
            streams.append(container.add_stream("mpeg4", rate=25))
            streams[-1].width, streams[-1].height = size, 128
            streams[-1].disposition = (Disposition.default if number == default else Disposition.original).value
        for stream in streams:
            for pixels in numbered(3, stream.width, 128):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
            container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert [bool(stream.disposition & Disposition.default) for stream in container.streams] == [n == default for n in range(3)]
    pixels, _, source = read(path)
    assert {picture.shape for picture in pixels} == {(128, (64, 128, 192)[default or 0], 3)}
    assert (len(pixels), source.note) == (3, "")


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover, film = container.add_stream("mjpeg", rate=25), container.add_stream("mpeg4", rate=25)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 64, "yuvj420p", Disposition.attached_pic.value
        film.width, film.height = 192, 128
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(1, 64, 64)[0], format="bgr24")))
        container.mux(cover.encode())
        for pixels in numbered(3):
            container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(film.encode())
    with av.open(str(path)) as container:
        assert any(stream.disposition & Disposition.attached_pic for stream in container.streams.video)
    pixels, _, _ = read(path)
    assert {picture.shape for picture in pixels} == {(128, 192, 3)}


@pytest.mark.parametrize(
    ("pixel_format", "tolerance"),
    [("yuv420p", 12), ("yuv422p10le", 12), ("yuv444p16le", 4), ("gray", 4), ("gray10le", 4), ("bgra", 1), ("yuva444p", 4), ("bgr0", 1)],
)
@pytest.mark.parametrize(("width", "height"), [(192, 128), (67, 35)])
def test_any_pixel_format_and_odd_sizes(tmp_path, pixel_format, tolerance, width, height):
    original = numbered(2, width, height)
    pixels, _, _ = read(write_video(tmp_path / "a.mkv", original, codec="ffv1", pixel_format=pixel_format))
    grey = pixel_format.startswith("gray")
    for picture, expected in zip(pixels, original):
        if grey:
            expected = cv2.cvtColor(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        # the strips' edges are black to white in one pixel, which halved chroma cannot hold
        inside = slice(height // 16 + 2, -height // 16 - 2)
        assert np.abs(picture[inside].astype(int) - expected[inside]).mean() < tolerance
        assert read_number(picture) in (0, 1)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    pixels, _, _ = read(write_video(tmp_path / "a.mp4", numbered(2), pixel_aspect=Fraction(4, 3)))
    assert pixels[0].shape == (128, 256, 3)
    assert read_number(pixels[1]) == 1


def test_an_absurd_pixel_aspect_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(2), pixel_aspect=Fraction(4, 3))
    path.write_bytes(path.read_bytes().replace(b"pasp" + struct.pack(">II", 4, 3), b"pasp" + struct.pack(">II", 200, 1)))
    pixels, _, _ = read(path)
    assert pixels[0].shape == (128, 192, 3)


def test_sound_beside_the_pictures_is_left_out(tmp_path):
    pixels, _, source = read(write_video(tmp_path / "a.mkv", numbered(20), sound=True))
    assert len(pixels) == 20
    assert source.note == ""


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_truncated_video_gives_what_can_be_read_and_says_so(tmp_path, ending, share):
    options = {"movflags": "faststart"} if ending == "mp4" else {}
    path = write_video(tmp_path / f"a.{ending}", numbered(60), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    pixels, _, source = read(path)
    assert 0 < len(pixels) < 60
    assert source.note == f"truncated: {len(pixels)} of about 60 frames could be read"
    whole = pixels[:-1]  # the last may have been cut in its middle
    assert [read_number(picture) for picture in whole] == list(range(len(whole)))


def test_a_damaged_video_goes_on_after_the_damage(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(30), codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = next(packet for number, packet in enumerate(container.demux(video=0)) if number == 10)
        begin, size = packet.pos, packet.size
    data[begin : begin + size] = bytes(size)
    path.write_bytes(data)
    pixels, times, source = read(path)
    assert len(pixels) == 29
    assert times[-1] == 29 * 40_000_000
    assert source.note == "damaged: 1 of 30 parts could not be decoded, 29 frames were read"


def test_no_such_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [b"", b"words " * 99, bytes(range(256)) * 40], ids=["empty", "text", "bytes"])
def test_not_a_video(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert "not a video" in refusal(tmp_path / "a.mp4")


def test_a_text_file_is_not_drawn_as_pictures(tmp_path):
    (tmp_path / "a.txt").write_text("words\n" * 99)
    assert "text file" in refusal(tmp_path / "a.txt")


def test_an_index_that_was_cut_off(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(20))
    path.write_bytes(path.read_bytes()[:-500])
    assert "cut off before its index" in refusal(path)


def test_a_video_without_a_single_picture(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(20), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    assert "no picture in this video can be decoded" in refusal(path)


def test_sound_alone(tmp_path):
    assert "only sound" in refusal(write_sound(tmp_path / "a.wav"))


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_no_permission(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered(2))

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(av, "open", refuse)  # root, which tests may run as, may read everything
    assert "no permission" in refusal(path)


def test_a_file_name_that_looks_like_an_address(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", numbered(2)).rename(tmp_path / "concat:x|y.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("concat:x|y.mp4"))[0]) == 2
