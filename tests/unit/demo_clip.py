"""The demo clip and the real networks, for the tests that need them; those skip where they were not pulled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.detection.blazepose import BlazePose
from poselift.models.store import path_of

FRAME_NS = 33_333_333
"""From one of the clip's pictures to the next."""


def pulled(name: str) -> Path:
    """The file of a pulled model or clip; skips the test where it is not there."""
    try:
        return path_of(name)
    except ModelError as error:
        pytest.skip(str(error))


def blazepose() -> BlazePose:
    """BlazePose with its real networks."""
    return BlazePose(open_model(pulled("blazepose_detector")), open_model(pulled("blazepose_landmarks")))


def pictures(clip: Path) -> Iterator[np.ndarray]:
    """The clip's pictures, BGR."""
    capture = cv2.VideoCapture(str(clip))
    while True:
        good, picture = capture.read()
        if not good:
            return
        yield picture


def moments(clip: Path) -> Iterator[tuple[np.ndarray, int]]:
    """The clip's pictures and their times, ns."""
    return ((picture, frame * FRAME_NS) for frame, picture in enumerate(pictures(clip)))
