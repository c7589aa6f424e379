"""Pictures inside a recording: a Frame that carries its own pixels, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import cv2
import numpy as np

from poselift.app.dataflow.messages import Frame, MessageError
from poselift.common.arrays import Pixels

"""uint8 [height, width, 3], BGR."""


def with_pixels(frame: Frame, picture: Optional[Pixels], encoding: str = "jpeg", quality: int = 85) -> Frame:
    """`frame` as a recording holds it: `picture` as 'jpeg' (of that quality, 1 to 100) or 'png' (exact).

    With 'none', or where there is no picture, the header alone.
    """
    if encoding == "none" or picture is None:
        return replace(frame, encoding="none", pixels=b"")
    options = {"jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]), "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])}
    ending, parameters = options[encoding]
    _, data = cv2.imencode(ending, picture, parameters)
    return replace(frame, encoding=encoding, pixels=data.tobytes())


def picture(frame: Frame) -> Optional[Pixels]:
    """The picture that a recorded frame carries, or None where pictures were not recorded.

    Raises MessageError where the pixels are damaged, of another size than the frame says, or not in the message at all ('ring').
    """
    if frame.encoding == "none":
        return None
    if frame.encoding not in ("jpeg", "png"):
        raise MessageError(f"frame {frame.frame}: its pixels are not in the message (encoding {frame.encoding!r})")
    decoded: Any = cv2.imdecode(np.frombuffer(frame.pixels, np.uint8), cv2.IMREAD_COLOR) if frame.pixels else None
    if decoded is None or decoded.shape != (frame.height_px, frame.width_px, 3):
        raise MessageError(f"frame {frame.frame}: its {frame.encoding} is damaged or not {frame.width_px}x{frame.height_px}")
    return decoded  # type: ignore[no-any-return]
