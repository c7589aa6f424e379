"""A camera on this machine, by Video4Linux.

Not run on hardware: nobody here has a camera. What is said of drivers is from the kernel's documentation, and checked against a stand-in
that refuses as it says the kernel does.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import CAMERA_DROPPED, DAMAGED
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError
from poselift.workers.sources import devices, videodev2
from poselift.workers.sources.pixel_formats import FORMATS, Decoder
from poselift.workers.sources.source import LOST_AFTER_S, RETRY_S, CapturedPicture, Lost, SourceLost, opening

_WAIT_S = 1
"""So long a picture is waited for before we look again whether the camera is there."""
_OLDEST_NS = 10**10
"""A driver's timestamp further back than this does not tell when the picture was taken."""
_SIZE_PX, _FPS, _BUFFERS = (640, 480), 30.0, 4
"""Asked for where the settings name none: what another program left is no better guess."""
_NEEDED = videodev2.CAN_CAPTURE | videodev2.CAN_STREAM
_PLANES = (
    "this camera gives its pictures in separate planes of memory (V4L2's multi-planar interface), which poselift does not know; use another"
)
_PASSING = (errno.EAGAIN, errno.EIO)
"""Nothing is there after all; a fault of the signal, for one, that may pass."""
_NEVER_BACK = 2**31
"""Sequence numbers are 32 bits wide; a step of more than half of that is a number that was begun anew."""


class V4l2Source:
    """The camera's pictures, and what the driver dropped or damaged between them.

    t_ns is the driver's timestamp where that is on the monotonic clock: by the driver, when the picture's exposure began or its last byte
    came. Else it is the time of arrival here.
    """

    live = True
    heeds_fps = True
    frames: Optional[int] = None

    def __init__(
        self,
        settings: CaptureConfig,
        kernel: videodev2.Kernel = videodev2.LINUX,
        folders: devices.Folders = devices.FOLDERS,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        self._path = folders.dev / f"video{settings.source}" if settings.source.isdigit() else Path(settings.source)
        devices.check(self._path, folders)
        if settings.pixel_format not in (None, *FORMATS):
            raise UserError(
                f"capture.pixel_format is {settings.pixel_format}, which is not understood here; give one of {', '.join(FORMATS)}"
            )
        if (settings.width_px is None) != (settings.height_px is None):
            raise UserError(f"capture: width_px is {settings.width_px}, height_px is {settings.height_px}; give both or neither")
        self.name = devices.title(self._path, folders)
        self._kernel, self._lost_after_s = kernel, lost_after_s
        self._last_ns = 0
        self._sequence: Optional[int] = None
        self._buffers: list[Pixels] = []
        self._descriptor: Optional[int] = None
        self.fps, self.note = 0.0, ""

        def why_not(error: Exception) -> str:
            unknown = isinstance(error, OSError) and error.errno == errno.ENOTTY
            return devices.is_none(self._path, folders) if unknown else devices.why_not(self._path, folders)

        with opening(self, why_not, (SourceLost, OSError)):
            self._descriptor = kernel.open(self._path)
            can = videodev2.capabilities(kernel, self._descriptor)
            if can & _NEEDED != _NEEDED:
                planes = can & videodev2.CAN_CAPTURE_PLANES
                raise UserError(f"{self.name}: {_PLANES}" if planes else devices.why_not(self._path, folders))
            self._decode, self.fps, self.note = self._set_up(self._descriptor, settings)
            next(given for given in self._pictures(2 * lost_after_s) if isinstance(given, CapturedPicture))

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        """The pictures from now on, for ever: what came since the camera was opened is old by now. Raises SourceLost."""
        self._drain()
        yield from self._pictures(self._lost_after_s)

    def close(self) -> None:
        """Give the camera back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # it may be gone
                videodev2.stream(self._kernel, descriptor, on=False)
            self._buffers.clear()
            self._kernel.close(descriptor)

    def _set_up(self, descriptor: int, settings: CaptureConfig) -> tuple[Decoder, float, str]:
        """Ask for what the settings name and have the camera stream: how to decode, its rate, and what the driver did not take."""
        kernel, size = self._kernel, (settings.width_px or _SIZE_PX[0], settings.height_px or _SIZE_PX[1])
        pixel_format, pix = self._choose(descriptor, settings.pixel_format, size)
        fps = 0.0
        with suppress(OSError):  # not every driver knows its rate
            fps = videodev2.set_rate(kernel, descriptor, settings.fps or _FPS)
        exposed = self._set_exposure(descriptor, settings.exposure)
        buffers = videodev2.request_buffers(kernel, descriptor, settings.buffers or _BUFFERS)
        for index in range(buffers):
            self._buffers.append(np.frombuffer(videodev2.map_buffer(kernel, descriptor, index), np.uint8))
            videodev2.queue(kernel, descriptor, index)
        videodev2.stream(kernel, descriptor, on=True)
        differences = [
            (settings.pixel_format not in (None, pixel_format), f"pixel_format {settings.pixel_format}: it gives {pixel_format}"),
            (settings.width_px and size != (pix.width, pix.height), f"size {size[0]}x{size[1]}: it gives {pix.width}x{pix.height}"),
            (settings.fps and abs(settings.fps - fps) > 0.5, f"fps {settings.fps or 0:g}: it gives {fps:g}"),
            (settings.buffers not in (None, buffers), f"buffers {settings.buffers}: it has {buffers}"),
            (not exposed, f"exposure {settings.exposure}: refused"),
        ]
        asked = "; ".join(text for differs, text in differences if differs)
        decoder = Decoder(pixel_format, pix.width, pix.height, pix.bytesperline)
        return decoder, fps, f"{self.name} did not take {asked}" if asked else ""

    def _choose(self, descriptor: int, wanted: Optional[str], size: tuple[int, int]) -> tuple[str, Any]:
        """The pixel format, as wanted or the first that both sides know, and what the driver makes of it."""
        given = "none of them"
        for fourcc in (wanted, *FORMATS) if wanted else FORMATS:
            try:
                pix = videodev2.set_format(self._kernel, descriptor, fourcc, *size)
            except OSError as error:  # EINVAL: some drivers refuse instead of choosing another
                if error.errno != errno.EINVAL:
                    raise
                continue
            given = videodev2.letters_of(pix.pixelformat)
            if given in FORMATS and fourcc in (wanted, given):
                return given, pix
        raise UserError(f"{self.name}: the pixel formats understood here are {', '.join(FORMATS)}; it gives {given}")

    def _set_exposure(self, descriptor: int, exposure: Optional[float]) -> bool:
        """Whether the exposure is as asked. Automatic is set too, as a driver keeps what another program left; not every camera has it."""
        mode, value = videodev2.EXPOSURE_MODE, videodev2.EXPOSURE
        if exposure is None:
            for automatic in (videodev2.APERTURE_PRIORITY, videodev2.AUTOMATIC):
                with suppress(OSError):
                    videodev2.set_control(self._kernel, descriptor, mode, automatic)
                    break
            return True
        try:
            videodev2.set_control(self._kernel, descriptor, mode, videodev2.MANUAL)
            videodev2.set_control(self._kernel, descriptor, value, round(exposure))
        except OSError:
            return False
        return True

    def _pictures(self, lost_after_s: float) -> Iterator[Union[CapturedPicture, Lost]]:
        """What comes, until no whole picture has come for so long: SourceLost."""
        until_s = time.monotonic() + lost_after_s
        while time.monotonic() < until_s:
            buffer = self._dequeue(until_s)
            if buffer is None or self._descriptor is None:
                break
            arrival_ns = time.monotonic_ns()
            pixels = None if buffer.flags & videodev2.ERROR else self._decode(self._buffers[buffer.index][: buffer.bytesused])
            videodev2.queue(self._kernel, self._descriptor, buffer.index)
            dropped = self._dropped(buffer.sequence)
            if dropped:
                yield Lost(dropped, CAMERA_DROPPED)
            if pixels is None:
                yield Lost(1, DAMAGED)
            else:
                yield CapturedPicture(pixels, self._time(buffer, arrival_ns))
                until_s = time.monotonic() + lost_after_s  # whoever took it may have been busy
        raise SourceLost(f"{self.name}: the camera has given no whole picture for {lost_after_s:g} s")

    def _dequeue(self, until_s: float) -> Optional[Any]:
        """The next buffer; None where none comes until then."""
        while self._descriptor is not None and (left_s := until_s - time.monotonic()) > 0:
            try:
                if self._kernel.wait(self._descriptor, min(left_s, _WAIT_S)):
                    return videodev2.dequeue(self._kernel, self._descriptor)
            except OSError as error:
                if error.errno not in _PASSING:
                    raise SourceLost(f"{self.name}: the camera is gone ({_why(error)})") from None
                time.sleep(RETRY_S)
            if not self._path.exists():
                raise SourceLost(f"{self.name}: the camera is gone (unplugged)")
        return None

    def _drain(self) -> None:
        """Leave out what waits. What the driver dropped until now is nobody's loss: nobody was there to take it."""
        self._sequence = None
        for _ in self._buffers:
            with suppress(OSError):
                if self._descriptor is not None and self._kernel.wait(self._descriptor, 0):
                    videodev2.queue(self._kernel, self._descriptor, videodev2.dequeue(self._kernel, self._descriptor).index)

    def _dropped(self, sequence: int) -> int:
        """Pictures that the driver has counted since the one before and had no buffer for; 0 where it counts none, or begins anew."""
        step = 1 if self._sequence is None else (sequence - self._sequence) % 2**32
        self._sequence = sequence
        return step - 1 if 0 < step < _NEVER_BACK else 0

    def _time(self, buffer: Any, arrival_ns: int) -> int:
        stamp_ns = buffer.timestamp.tv_sec * 10**9 + buffer.timestamp.tv_usec * 1000
        monotonic = buffer.flags & videodev2.CLOCK == videodev2.MONOTONIC
        t_ns = stamp_ns if monotonic and arrival_ns - _OLDEST_NS < stamp_ns <= arrival_ns else arrival_ns
        self._last_ns = max(t_ns, self._last_ns + 1)
        return self._last_ns


def _why(error: OSError) -> str:
    return "unplugged" if error.errno == errno.ENODEV else str(error.strerror)
