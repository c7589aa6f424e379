"""Decodes pictures for the window."""

from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.view.history import CompressedImage

Rgba = npt.NDArray[np.uint8]
"""uint8 [height, width, 4]."""


class Decoder:
    """Reuses its memory: the kernel fills new memory with zeros first, which takes longer than resizing into it."""

    def __init__(self) -> None:
        self._resized: Any = None
        self._rgba: Any = None

    def decode(self, image: CompressedImage, width_px: int, height_px: int) -> Optional[Rgba]:
        """The image at that size, or at its own if that is smaller; None if it is damaged. Valid until the next call."""
        halved = image.width_px >= 2 * width_px
        data = np.frombuffer(image.data, np.uint8)
        pixels: Any = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR) if len(data) else None
        if pixels is None:
            return None
        if pixels.shape[1] > width_px:
            much_smaller = pixels.shape[1] > 1.5 * width_px  # linear interpolation is faster, but would skip pixels then
            interpolation = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
            pixels = self._resized = cv2.resize(pixels, (width_px, height_px), self._resized, interpolation=interpolation)
        # Without a graphics card four bytes a pixel are read faster than three.
        self._rgba = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGBA, self._rgba)
        return self._rgba  # type: ignore[no-any-return]
