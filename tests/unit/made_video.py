"""Real video files for the tests of sources: every picture carries its number in its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from poselift.app.config import CaptureConfig
from poselift.workers.sources.pattern import PatternSource, write_number


def numbered(count: int, width: int = 192, height: int = 128) -> list[np.ndarray]:
    """Pattern pictures 0 to count - 1, uint8 [height, width, 3] BGR."""
    source = PatternSource(CaptureConfig(source=f"test:{width}x{height}@30,frames={count}"))
    return [picture.pixels.copy() for picture in source]


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    pts_ms: Sequence[int] | None = None,
    codec: str = "mpeg4",
    pixel_format: str = "yuv420p",
    pixel_aspect: Fraction | None = None,
    sound: bool = False,
    **options: str,
) -> Path:
    """Encode `pictures` at 25 a second, or at the given times."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25, options={"qscale": "2"} if codec == "mpeg4" else {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        if pts_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        tone = container.add_stream("aac", rate=8000) if sound else None
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts = pts_ms[number] if pts_ms else number
            frame.time_base = Fraction(1, 1000) if pts_ms else Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            silence.rate = 8000
            container.mux(tone.encode(silence))
            container.mux(tone.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A second of silence, without pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, clockwise_degrees: int) -> Path:
    """Have an MP4 file shown turned, as a phone does."""
    return show_by(path, *{0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[clockwise_degrees])


def show_by(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into an MP4 file (ISO/IEC 14496-12, track header box)."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4 + 40
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 0x40000000], ">i4").tobytes()
    data[begin : begin + len(matrix)] = matrix
    path.write_bytes(data)
    return path


def stamped(pixels: np.ndarray, number: int) -> np.ndarray:
    """A copy of `pixels` with another number."""
    pixels = pixels.copy()
    write_number(pixels, number)
    return pixels
