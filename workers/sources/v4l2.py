"""A camera on this machine, by Video4Linux through OpenCV.

Not run on hardware: nobody here has a camera. What is said of the driver is from OpenCV's source and the V4L2 interface, and checked
against a stand-in that refuses as they do.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import cv2

from app.config import CaptureConfig
from app.errors import UserError
from workers.sources import devices
from workers.sources.paths import mode_of
from workers.sources.picture import Picture, SourceLost

LOST_AFTER_S = 3.0
"""A camera that gives no picture for so long is lost; its first may take twice as long."""
_WAIT_S = 1
"""OpenCV waits so long for a picture, then looks again whether the camera is there. A signal ends the wait at once."""
_RETRY_S = 0.02
_OLDEST_NS = 10**9
"""A driver's timestamp further back than this is on another clock."""
_MANUAL, _APERTURE_PRIORITY = 1, 3
"""V4L2's exposure modes: V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY."""


def is_camera(source: str) -> bool:
    """Whether `source` names a V4L2 device: an index, or a path of a device."""
    return (source.isascii() and source.isdigit()) or source.startswith(("/dev/video", "/dev/v4l/")) or stat.S_ISCHR(mode_of(source))


class V4l2Source:
    """The camera's pictures; t_ns is the driver's timestamp where it is on the monotonic clock, else the time of arrival."""

    live = True
    heeds_fps = True
    frames: Optional[int] = None

    def __init__(
        self,
        settings: CaptureConfig,
        capture: Callable[[str, int], Any] = cv2.VideoCapture,
        folders: devices.Folders = devices.FOLDERS,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        self._path = folders.dev / f"video{settings.source}" if settings.source.isdigit() else Path(settings.source)
        devices.check(self._path, folders)
        self.name = devices.title(self._path, folders)
        self._lost_after_s = lost_after_s
        self._last_ns = 0
        if (settings.width_px is None) != (settings.height_px is None):
            raise UserError(f"capture: width_px is {settings.width_px}, height_px is {settings.height_px}; give both or neither")
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(_WAIT_S))  # read by OpenCV when it first waits
        self._capture = capture(str(self._path), cv2.CAP_V4L2)
        try:
            if not self._capture.isOpened():
                raise UserError(devices.why_not(self._path, folders))
            self.note = self._set_up(settings)
            self.fps = max(0.0, self._capture.get(cv2.CAP_PROP_FPS))
            self._first: Optional[Picture] = self._take(2 * lost_after_s)
        except SourceLost:
            self.close()
            raise UserError(devices.why_not(self._path, folders)) from None
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Picture]:
        """The pictures, for ever. Raises SourceLost."""
        if self._first:
            yield self._first
            self._first = None
        while True:
            yield self._take(self._lost_after_s)

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()

    def _set_up(self, settings: CaptureConfig) -> str:
        """Ask for what the settings name, before the camera streams; what the driver made of it, where that differs."""
        pixel_format, size = settings.pixel_format, (settings.width_px, settings.height_px)
        if pixel_format:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*pixel_format))
        if settings.width_px and settings.height_px:  # OpenCV sets the size when it has both
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width_px)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px)
        if settings.fps:
            self._capture.set(cv2.CAP_PROP_FPS, settings.fps)
        if settings.buffers:
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, settings.buffers)
        given_size = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        given_format = _letters(int(self._capture.get(cv2.CAP_PROP_FOURCC)))
        given_fps, given_buffers = self._capture.get(cv2.CAP_PROP_FPS), int(self._capture.get(cv2.CAP_PROP_BUFFERSIZE))
        differences = [
            (pixel_format and pixel_format != given_format, f"pixel_format {pixel_format}: it gives {given_format}"),
            (settings.width_px and size != given_size, "size {}x{}: it gives {}x{}".format(*size, *given_size)),
            (settings.fps and abs(settings.fps - given_fps) > 0.5, f"fps {settings.fps:g}: it gives {given_fps:g}" if settings.fps else ""),
            (settings.buffers and settings.buffers != given_buffers, f"buffers {settings.buffers}: it has {given_buffers}"),
            (not self._set_exposure(settings.exposure), f"exposure {settings.exposure}: refused"),
        ]
        asked = "; ".join(text for differs, text in differences if differs)
        return f"{self.name} did not take {asked}" if asked else ""

    def _set_exposure(self, exposure: Optional[float]) -> bool:
        """Whether the exposure is as asked. Automatic is set too, as a driver keeps what another program left; not every camera has it."""
        if exposure is None:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _APERTURE_PRIORITY)
            return True
        manual = self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL)
        return bool(manual and self._capture.set(cv2.CAP_PROP_EXPOSURE, exposure))

    def _take(self, timeout_s: float) -> Picture:
        """The next whole picture: one that a transfer error damaged is left out, as `retrieve` gives nothing for it."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            if self._capture.grab():
                arrival_ns = time.monotonic_ns()
                good, pixels = self._capture.retrieve()
                if good and pixels is not None and pixels.size:
                    return Picture(pixels, self._time(arrival_ns))
            elif not self._path.exists():
                raise SourceLost(f"{self.name}: the camera is gone (unplugged)")
            else:
                time.sleep(_RETRY_S)
        raise SourceLost(f"{self.name}: the camera has given no picture for {timeout_s:g} s")

    def _time(self, arrival_ns: int) -> int:
        stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1000) * 1000
        t_ns = stamp_ns if arrival_ns - _OLDEST_NS < stamp_ns <= arrival_ns else arrival_ns
        self._last_ns = max(t_ns, self._last_ns + 1)
        return self._last_ns


def _letters(fourcc: int) -> str:
    return "".join(chr(fourcc >> shift & 0xFF) for shift in (0, 8, 16, 24)).strip("\0")
