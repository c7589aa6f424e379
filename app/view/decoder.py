"""JPEG pictures as the window shows them."""

from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.view.moments import Shot

Rgba = npt.NDArray[np.uint8]
"""uint8 [height, width, 4]."""


class Decoder:
    """Has the memory of its pictures: one that is new comes filled with zeros by the kernel, which takes longer than resizing into it."""

    def __init__(self) -> None:
        self._resized: Any = None
        self._shown: Any = None

    def picture(self, shot: Shot, width_px: int, height_px: int) -> Optional[Rgba]:
        """In the size in which it is shown, or its own where that is smaller; None where it is damaged.

        Good until the next.
        """
        halved = shot.width_px >= 2 * width_px
        data = np.frombuffer(shot.data, np.uint8)
        found: Any = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR) if len(data) else None
        if found is None:
            return None
        if found.shape[1] > width_px:
            much = found.shape[1] > 1.5 * width_px  # only then would linear interpolation, which is quicker, skip pixels
            way = cv2.INTER_AREA if much else cv2.INTER_LINEAR
            found = self._resized = cv2.resize(found, (width_px, height_px), self._resized, interpolation=way)
        self._shown = cv2.cvtColor(found, cv2.COLOR_BGR2RGBA, self._shown)  # four bytes are what software reads quickly
        return self._shown  # type: ignore[no-any-return]
