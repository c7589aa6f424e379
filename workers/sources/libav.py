"""What files and network cameras have in common: PyAV's frames as pictures, its streams and its errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Optional

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from poselift.common.arrays import Pixels

_ONE_THREAD = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
"""From 17 on PyAV converts on all cores, which costs the detector more than it saves here."""
MAX_STATED_FPS = 1000
_NO_TIMES: Any = Flags.no_timestamps.value
_MAY_JUMP: Any = Flags.ts_discont.value
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_ROUND = 0.01
"""A pixel that is less than this off square is an encoder's rounding, not worth resampling."""


class Converter:
    """BGR pictures from frames of any pixel format: upright, as the display matrix says, and with square pixels."""

    def __init__(self, stream: VideoStream) -> None:
        self._stretch = float(stream.sample_aspect_ratio or 1)
        if abs(self._stretch - 1) < _ROUND or not 0.25 <= self._stretch <= 4:
            self._stretch = 1.0
        self._reformatter = VideoReformatter()
        self._rotation_deg: Optional[int] = None
        self._matrix: Optional[list[int]] = None

    def __call__(self, frame: VideoFrame) -> Pixels:
        """uint8 [height, width, 3]; libav leaves gaps between the rows, and to close them would cost another copy."""
        width = round(frame.width * self._stretch)
        picture = self._reformatter.reformat(frame, width=width, format="bgr24", **_ONE_THREAD)
        plane: Any = picture.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        pixels: Pixels = rows[: picture.height, : 3 * picture.width].reshape(picture.height, picture.width, 3)
        return _upright(pixels, self._display_matrix(frame))

    def _display_matrix(self, frame: VideoFrame) -> Optional[list[int]]:
        """The frame's display matrix, read anew when its rotation changes alone.

        To read it, PyAV ties a frame and its side data to each other, and keeps the frame until Python's cycle collector runs.
        """
        if frame.rotation != self._rotation_deg:
            side_data: Any = frame.side_data
            matrix = side_data.get(Type.DISPLAYMATRIX)
            self._rotation_deg, self._matrix = frame.rotation, matrix and np.frombuffer(matrix, np.int32).tolist()
        return self._matrix


def _upright(pixels: Pixels, display_matrix: Optional[list[int]]) -> Pixels:
    """The picture as its display matrix shows it, turned by whole quarters and mirrored; as it is where there is none.

    The matrix is (ISO/IEC 14496-12; libav's display.h) a b u, c d v, x y w: a pixel at (p, q) is shown at (a p + c q, b p + d q), but for
    the shift.
    """
    if display_matrix is None:
        return pixels
    a, b, _, c, d = display_matrix[:5]
    right, down = a, d
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels = cv2.transpose(pixels)
        right, down = c, b
    if right < 0 or down < 0:
        pixels = cv2.flip(pixels, -1 if right < 0 and down < 0 else int(right < 0))
    return pixels


def video_stream(container: InputContainer) -> Optional[VideoStream]:
    """The stream of moving pictures that the file plays by default, else the first, set to decode on one thread without delay.

    None without any: a song's cover and thumbnails are none.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not moving:
        return None
    stream = next((stream for stream in moving if stream.disposition & Disposition.default), moving[0])
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return stream


def stated_rate(container: InputContainer, stream: VideoStream) -> Fraction:
    """Nominal pictures per second, as the file says; 0 where it does not.

    A raw stream has no container to say so. Its decoder may know, but some state the unit of their clock there: that is no rate.
    """
    if has_times(container):
        return rate(stream)
    stated = exact(stream.codec_context.framerate) or Fraction(0)
    return stated if stated <= MAX_STATED_FPS else Fraction(0)


def has_times(container: InputContainer) -> bool:
    """Whether the file's pictures have times of their own; for a raw stream libav makes up some, by a rate that it makes up."""
    return not container.format.flags & _NO_TIMES


def clock_may_jump(container: InputContainer) -> bool:
    """Whether the format is one of those whose clock may begin anew, such as MPEG's transport stream."""
    return bool(container.format.flags & _MAY_JUMP)


def rate(stream: VideoStream) -> Fraction:
    """Nominal pictures per second; 0 where unknown."""
    return exact(stream.average_rate or stream.guessed_rate) or Fraction(0)


def exact(rational: Any) -> Optional[Fraction]:
    """A rational number of libav's, for which PyAV has a type of its own from 19 on; None where there is none."""
    return None if rational is None else Fraction(rational.numerator, rational.denominator)


def why(error: Exception) -> str:
    """What libav says, without the name of the file or the address: that may hold a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
