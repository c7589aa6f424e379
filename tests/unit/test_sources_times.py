"""Times of video files that begin anew, jump, are slow or fast, or have none: made with libav, compared with what is known of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from made_video import numbered

from poselift.app.config import CaptureConfig
from poselift.workers.sources.pattern import read_number
from poselift.workers.sources.video import VideoFile

WRAP = 2**33
"""MPEG's clock of 90 kHz has 33 bits."""


def encode(path: Path, times: list[int], time_base: Fraction, codec: str = "libx264", rate: Fraction | int = 25, **options: str) -> bytes:
    """One numbered picture at each of these times, in units of `time_base` seconds."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, options={"bf": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = time_base
        for number, pixels in enumerate(numbered(len(times))):
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts, frame.time_base = times[number], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def ts(path: Path, begin_s: float, count: int = 10) -> bytes:
    """A transport stream of 25 pictures a second whose clock says `begin_s` at the first."""
    return encode(path, [round(90_000 * begin_s) + 3600 * n for n in range(count)], Fraction(1, 90_000))


def read(path: Path, fps: float | None = None) -> tuple[list[int], list[int], VideoFile]:
    """Numbers and times (ns) of the pictures, and the source, closed."""
    source = VideoFile(CaptureConfig(source=str(path), fps=fps))
    taken = [(read_number(picture.pixels), picture.t_ns) for picture in source]
    source.close()
    return [number for number, _ in taken], [t_ns for _, t_ns in taken], source


def even(count: int, fps: Fraction | int) -> list[int]:
    return [int(n * 10**9 / Fraction(fps)) for n in range(count)]


@pytest.mark.parametrize("pieces_s", [(50_000, 0), (0, 50_000), (100, 0), (20, 5), (0, 100, 50, 70_000)])
def test_pieces_whose_clocks_differ_follow_each_other(tmp_path, pieces_s):
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(ts(tmp_path / "piece.ts", begin_s) for begin_s in pieces_s))
    numbers, times, source = read(path)
    assert numbers == list(range(10)) * len(pieces_s)
    assert times == even(10 * len(pieces_s), 25)
    often = "once" if len(pieces_s) == 2 else f"{len(pieces_s) - 1} times"
    assert source.note == f"the file's clock begins anew or jumps {often}; what follows comes one period after what was before"


def test_a_clock_that_wraps_goes_on(tmp_path):
    ts(tmp_path / "a.ts", WRAP / 90_000 - 0.2)
    with av.open(str(tmp_path / "a.ts"), options={"correct_ts_overflow": "0"}) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stamps[0] > stamps[-1], "it does not wrap in the file"
    numbers, times, source = read(tmp_path / "a.ts")
    assert (numbers, times, source.note) == (list(range(10)), even(10, 25), "")


def test_a_pause_of_seconds_stays_one(tmp_path):
    path = tmp_path / "both.ts"
    path.write_bytes(ts(tmp_path / "a.ts", 0) + ts(tmp_path / "b.ts", 8))
    _, times, source = read(path)
    assert times == even(10, 25) + [8 * 10**9 + t_ns for t_ns in even(10, 25)]
    assert source.note == ""


@pytest.mark.parametrize("ending", ["mkv", "mp4", "flv", "mov"])
def test_elsewhere_a_long_pause_is_one(tmp_path, ending):
    encode(tmp_path / f"a.{ending}", [0, 40, 80, 40_000_000, 40_000_040], Fraction(1, 1000))
    _, times, source = read(tmp_path / f"a.{ending}")
    assert times == [t * 10**6 for t in (0, 40, 80, 40_000_000, 40_000_040)]
    assert source.note == ""


@pytest.mark.parametrize("ending", ["mkv", "ts", "mp4"])
def test_a_picture_an_hour(tmp_path, ending):
    encode(tmp_path / f"a.{ending}", [n * 3600 * 1000 for n in range(5)], Fraction(1, 1000), rate=Fraction(1, 3600))
    numbers, times, source = read(tmp_path / f"a.{ending}")
    assert numbers == list(range(5))
    assert times == even(5, Fraction(1, 3600))
    assert source.note == ""


def test_more_pictures_than_the_clock_has_ticks(tmp_path):
    """Matroska's clock ticks in milliseconds."""
    encode(tmp_path / "a.mkv", list(range(60)), Fraction(1, 5000), rate=5000, default_mode="infer")
    numbers, times, _ = read(tmp_path / "a.mkv")
    assert numbers == list(range(60))
    assert all(abs(t_ns - n * 200_000) <= 10**6 for n, t_ns in enumerate(times))
    assert all(one < other for one, other in zip(times, times[1:]))


@pytest.mark.parametrize(("ending", "codec"), [("h264", "libx264"), ("hevc", "libx265"), ("m4v", "mpeg4"), ("m2v", "mpeg2video")])
@pytest.mark.parametrize("rate", [Fraction(60), Fraction(30_000, 1001)])
def test_a_raw_stream_says_its_rate(tmp_path, ending, codec, rate):
    encode(tmp_path / f"a.{ending}", list(range(12)), 1 / rate, codec, rate)
    numbers, times, source = read(tmp_path / f"a.{ending}", fps=10.0)
    assert numbers == list(range(12))
    assert times == even(12, rate)
    assert (source.fps, source.note, source.heeds_fps) == (float(rate), "", False)


def raw_without_rate(path: Path) -> Path:
    if path.suffix == ".h264":  # what it says is the unit of its clock
        encode(path, [1500 * n for n in range(12)], Fraction(1, 90_000), rate=60)
    else:
        encode(path, list(range(12)), Fraction(1, 60), "mjpeg", 60)
    return path


@pytest.mark.parametrize("name", ["a.mjpeg", "a.h264"])
def test_a_raw_stream_that_does_not_say_its_rate(tmp_path, name):
    path = raw_without_rate(tmp_path / name)
    numbers, times, source = read(path)
    assert (numbers, times, source.fps, source.heeds_fps) == (list(range(12)), even(12, 30), 30.0, True)
    assert source.note == f"{path} states no rate, and 30 pictures a second were assumed; say it with --fps (capture.fps)"
    numbers, times, source = read(path, fps=12.5)
    assert (numbers, times, source.fps, source.note) == (list(range(12)), even(12, Fraction(25, 2)), 12.5, "")


def test_a_file_with_times_keeps_them(tmp_path):
    encode(tmp_path / "a.mp4", list(range(12)), Fraction(1, 25))
    _, times, source = read(tmp_path / "a.mp4", fps=60.0)
    assert (times, source.fps, source.heeds_fps) == (even(12, 25), 25.0, False)
