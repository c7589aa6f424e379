"""acllite's `cameracapture` without the board: what it does, prints and refuses, as its published source has it.

It needs a module `acl`, as the real one does, in run mode DEVICE, where the NPU's memory is this process's. Pictures carry their number
(see `poselift.workers.sources.pattern`), or are those of the folder FAKE_CSI_PICTURES, over and over at the rate asked for.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from pathlib import Path

import acl
import cv2
import numpy as np

from poselift.workers.sources.pattern import write_number

NORMAL_ONLY = 2


class Board:
    """What is connected, and what happens to it: to be changed by tests."""

    def __init__(self) -> None:
        self.connected = {0, 1}
        self.failing: set[int] = set()
        """Numbers of the reads that fail."""
        self.silent_after: int | None = None
        self.pictures: list[np.ndarray] | None = None
        """NV12, uint8 [1080, 1280], one after the other; None: pictures with numbers."""
        self.reads = 0
        self.opened: list[tuple[int, int, tuple[int, int]]] = []
        self.closed: list[int] = []
        self.images = 0
        """Pictures whose memory was not given back."""


BOARD = Board()
DEVICE = 0
LIBRARY = object() if acl.rt.get_run_mode()[0] == DEVICE else None


class CameraCapture:
    def __init__(self, camera_id, fps=15, size=(1280, 720)):
        self._id, self._fps, self._size = camera_id, fps, size
        assert all(type(value) is int for value in (camera_id, fps, *size)), "ctypes takes nothing else"
        if LIBRARY is None:
            raise AttributeError("'NoneType' object has no attribute 'OpenCameraEx'")
        self._is_open = camera_id in BOARD.connected
        if self._is_open:
            BOARD.opened.append((camera_id, fps, size))
        else:
            print(f"Open camera {camera_id} failed ,ret = 1")
            print(f"Open camera {camera_id} failed")
        self._pictures = _nv12_pictures(fps, size) if BOARD.pictures is None else iter(BOARD.pictures)

    def is_opened(self):
        return self._is_open

    def read(self):
        BOARD.reads += 1
        number = BOARD.reads - 1
        address, code = acl.rt.malloc(self._size[0] * self._size[1] * 3 // 2, NORMAL_ONLY)
        if code or number in BOARD.failing or (BOARD.silent_after is not None and number >= BOARD.silent_after):
            if not code:
                acl.rt.free(address)
            print(f"Read camera {self._id} failed")
            return None
        nv12 = next(self._pictures)
        ctypes.memmove(address, nv12.ctypes.data, nv12.nbytes)
        return AclLiteImage(address, nv12.nbytes)

    def close(self):
        print("Close camera", self._id)
        BOARD.closed.append(self._id)

    def __del__(self):
        self.close()


class AclLiteImage:
    def __init__(self, address, size):
        self._data, self.size = address, size
        BOARD.images += 1

    def data(self):
        return self._data

    def __del__(self):
        assert acl.rt.free(self._data) == 0
        BOARD.images -= 1


def nv12_of(bgr):
    """BGR, uint8 [height, width, 3], as NV12, uint8 [height * 3 / 2, width]: first all Y, then U and V by turns."""
    height, width = bgr.shape[:2]
    planes = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    y, u, v = np.split(planes, [height * width, height * width * 5 // 4])
    return np.concatenate([y, np.stack([u, v], axis=1).reshape(-1)]).reshape(height * 3 // 2, width)


def _nv12_pictures(fps, size):
    folder = os.environ.get("FAKE_CSI_PICTURES")
    if folder:
        pictures = [nv12_of(cv2.resize(cv2.imread(str(path)), size)) for path in sorted(Path(folder).iterdir())]
        for picture in itertools.cycle(pictures):
            threading.Event().wait(1 / fps)  # as the camera does
            yield picture
    bgr = np.full((size[1], size[0], 3), 128, np.uint8)
    for number in itertools.count():
        write_number(bgr, number)
        yield nv12_of(bgr)
