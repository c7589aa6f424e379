"""A camera without hardware: what OpenCV's V4L2 capture and the driver behind it do, and refuse."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from workers.sources.devices import Folders


class FakeMachine:
    """Folders as /dev, /sys and /proc have them, with the cameras put into them."""

    def __init__(self, folder: Path) -> None:
        self.folders = Folders(folder / "dev", folder / "sys", folder / "proc")
        for path in self.folders:
            path.mkdir()

    def plug(self, index: int, name: str) -> Path:
        device = self.folders.dev / f"video{index}"
        device.touch()
        entry = self.folders.names / device.name
        entry.mkdir()
        (entry / "name").write_text(name + "\n")
        return device

    def use(self, device: Path, process: int, command: str) -> None:
        """Another process opens the device."""
        files = self.folders.processes / str(process) / "fd"
        files.mkdir(parents=True)
        (files.parent / "comm").write_text(command + "\n")
        (files / "7").symlink_to(device)


class FakeCapture:
    """`cv2.VideoCapture` on a camera with two formats, two sizes and two rates.

    As OpenCV's: a size takes effect when both numbers were given; setting a format of the stream while it runs is an error here (there it
    restarts the stream, and the pictures in hand are lost). As the driver: a value it has not becomes the nearest it has, an exposure is
    refused unless the mode is manual, and a device that is gone gives nothing more.
    """

    FORMATS = ("YUYV", "MJPG")
    SIZES = ((640, 480), (1280, 720))
    RATES = (15.0, 30.0)

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path = Path(path)
        self.opened, self.streaming, self.released = True, False, False
        self.values = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"), cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_BUFFERSIZE: 4.0}
        self.values.update({cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_EXPOSURE: 157.0})
        self.size, self._asked_size = self.SIZES[0], [0.0, 0.0]
        self.grabbed = 0
        self.damaged: set[int] = set()
        self.unplug_after: int | None = None
        self.silent_after: int | None = None
        self.clock = time.monotonic
        self.stamps_s: list[float] = []

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, key: int, value: float) -> bool:
        formats = (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_BUFFERSIZE)
        assert not (self.streaming and key in formats), "a format was set while the camera streams"
        if key == cv2.CAP_PROP_FOURCC and int(value) not in {cv2.VideoWriter.fourcc(*letters) for letters in self.FORMATS}:
            return False
        if key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
            self._asked_size[key == cv2.CAP_PROP_FRAME_HEIGHT] = value
            if all(self._asked_size):
                self.size = min(self.SIZES, key=lambda size: abs(size[0] - self._asked_size[0]))
                self._asked_size = [0.0, 0.0]
            return True
        if key == cv2.CAP_PROP_FPS:
            value = min(self.RATES, key=lambda rate: abs(rate - value))
        if key == cv2.CAP_PROP_EXPOSURE and self.values[cv2.CAP_PROP_AUTO_EXPOSURE] != 1:
            return False
        self.values[key] = value
        return True

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_FRAME_WIDTH:
            return float(self.size[0])
        if key == cv2.CAP_PROP_FRAME_HEIGHT:
            return float(self.size[1])
        if key == cv2.CAP_PROP_POS_MSEC:
            return self.stamps_s[-1] * 1000 if self.stamps_s else 0.0
        return self.values[key]

    def grab(self) -> bool:
        if self.released or not self.path.exists():
            return False
        if self.grabbed == self.unplug_after:
            self.path.unlink()
            return False
        if self.grabbed == self.silent_after:
            return False
        self.streaming = True
        self.grabbed += 1
        self.stamps_s.append(self.clock())
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        assert self.streaming, "no picture was grabbed"
        if self.grabbed - 1 in self.damaged:
            return False, None
        return True, np.full((self.size[1], self.size[0], 3), self.grabbed - 1, np.uint8)

    def release(self) -> None:
        self.streaming, self.released = False, True
