"""A camera's bytes as BGR pictures: the pixel formats of Video4Linux that are understood here, by their four letters."""

from __future__ import annotations

from typing import Callable, Optional

import cv2
import numpy as np

from poselift.common.arrays import Pixels

END_OF_JPEG = b"\xff\xd9"


class Decoder:
    """Pictures of one format. Each is written over the one before where the format allows that."""

    def __init__(self, fourcc: str, width_px: int, height_px: int, stride_bytes: int) -> None:
        self._make = FORMATS[fourcc]
        self._width_px, self._height_px, self._stride_bytes = width_px, height_px, stride_bytes
        self._pixels = np.empty((height_px, width_px, 3), np.uint8)
        self._ends_seen = False

    def __call__(self, data: Pixels) -> Optional[Pixels]:
        """uint8 [height, width, 3] of one buffer's bytes, uint8 [n]; None where they are damaged: too few, or no whole JPEG."""
        return self._make(self, data)

    def packed(self, data: Pixels, bytes_a_pixel: int, code: Optional[int]) -> Optional[Pixels]:
        """Rows of pixels, which may have a gap behind them."""
        row = self._width_px * bytes_a_pixel
        stride = max(self._stride_bytes, row)
        if data.size < stride * (self._height_px - 1) + row:
            return None
        strided = np.lib.stride_tricks.as_strided(
            data, (self._height_px, self._width_px, bytes_a_pixel), (stride, bytes_a_pixel, 1), writeable=False
        )
        if code is None:
            np.copyto(self._pixels, strided)
            return self._pixels
        return _converted(strided, code, self._pixels)

    def planar(self, data: Pixels, chroma: int, code: int) -> Optional[Pixels]:
        """A plane of brightness, then the colours of two by two pixels: in `chroma` planes of their own, or interleaved in one."""
        width, height, stride = self._width_px, self._height_px, max(self._stride_bytes, self._width_px)
        if data.size < stride * height * 3 // 2:
            return None
        data = data[: stride * height * 3 // 2]
        if stride > width:
            brightness = data[: stride * height].reshape(height, stride)[:, :width]
            colours = data[stride * height :].reshape(chroma, height // 2, stride // chroma)[:, :, : width // chroma]
            data = np.concatenate([brightness.ravel(), colours.ravel()])
        return _converted(data.reshape(height * 3 // 2, width), code, self._pixels)

    def jpeg(self, data: Pixels) -> Optional[Pixels]:
        """A JPEG, which says its size itself. One without its end was cut, unless this camera leaves the end out every time."""
        coded = data.tobytes()
        ends = END_OF_JPEG in coded
        self._ends_seen = self._ends_seen or ends
        if self._ends_seen and not ends:
            return None
        try:
            return cv2.imdecode(np.frombuffer(coded + END_OF_JPEG, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # larger than OpenCV allows, for one
            return None


def _converted(picture: Pixels, code: int, pixels: Pixels) -> Pixels:
    cv2.cvtColor(picture, code, dst=pixels)
    return pixels


FORMATS: dict[str, Callable[[Decoder, Pixels], Optional[Pixels]]] = {
    "YUYV": lambda decoder, data: decoder.packed(data, 2, cv2.COLOR_YUV2BGR_YUYV),
    "UYVY": lambda decoder, data: decoder.packed(data, 2, cv2.COLOR_YUV2BGR_UYVY),
    "YVYU": lambda decoder, data: decoder.packed(data, 2, cv2.COLOR_YUV2BGR_YVYU),
    "NV12": lambda decoder, data: decoder.planar(data, 1, cv2.COLOR_YUV2BGR_NV12),
    "NV21": lambda decoder, data: decoder.planar(data, 1, cv2.COLOR_YUV2BGR_NV21),
    "YU12": lambda decoder, data: decoder.planar(data, 2, cv2.COLOR_YUV2BGR_I420),
    "YV12": lambda decoder, data: decoder.planar(data, 2, cv2.COLOR_YUV2BGR_YV12),
    "BGR3": lambda decoder, data: decoder.packed(data, 3, None),
    "RGB3": lambda decoder, data: decoder.packed(data, 3, cv2.COLOR_RGB2BGR),
    "GREY": lambda decoder, data: decoder.packed(data, 1, cv2.COLOR_GRAY2BGR),
    "MJPG": Decoder.jpeg,
    "JPEG": Decoder.jpeg,
}
"""In the order in which they are asked for where the settings name none: first those that cost little."""
