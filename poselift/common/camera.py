"""The camera as a pinhole: its focal length, in pixels of the picture. The principal point is the picture's centre."""

from __future__ import annotations

from typing import Optional

FOCAL_OF_LONGER_SIDE = 1.1
"""Focal length where none is known, in lengths of the picture's longer side: between a phone's 0.8 and a zoomed lens's 1.8."""


def focal_length_px(known_px: Optional[float], width_px: float, height_px: float) -> float:
    """The focal length that is known, else the one that is assumed for a picture of this size."""
    return known_px or FOCAL_OF_LONGER_SIDE * max(width_px, height_px)
