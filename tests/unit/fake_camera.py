"""A camera without hardware: what the kernel's V4L2 and the driver behind it do, and refuse."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from poselift.workers.sources import videodev2 as v4l2
from poselift.workers.sources.devices import Folders


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


class FakeKernel:
    """A camera and its driver, as the documentation of Video4Linux says that they behave and refuse, with OSError.

    A picture comes whenever somebody waits; `expose` has more come meanwhile. One comes into the first buffer that was queued, and where
    none is, it is counted and gone. A picture's brightness tells its number (modulo 200).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.formats: tuple[str, ...] = ("YUYV", "MJPG")
        self.sizes = ((640, 480), (1280, 720))
        self.rates: tuple[float, ...] = (15.0, 30.0)
        self.least_buffers, self.refuses_other_formats = 2, False
        self.capabilities = v4l2.CAN_CAPTURE | v4l2.CAN_STREAM | 0x200000
        self.controls = {v4l2.EXPOSURE_MODE: v4l2.APERTURE_PRIORITY, v4l2.EXPOSURE: 157}
        self.auto_modes: tuple[int, ...] = (v4l2.MANUAL, v4l2.APERTURE_PRIORITY)
        self.padding = 0
        self.format, self.size, self.rate = "MJPG", self.sizes[1], 15.0  # another program's
        self.busy: set[int] = set()
        """Requests that are refused with EBUSY."""
        self.fails: dict[int, int] = {}
        """Requests that fail with this error, once."""
        self.clock: Callable[[], float] = time.monotonic
        self.clock_flag = v4l2.MONOTONIC
        self.counts = True
        self.exposed = 0
        self.damaged: set[int] = set()
        """Numbers of pictures that a transfer error hit."""
        self.cut: set[int] = set()
        """Numbers of pictures that come short."""
        self.silent_after: int | None = None
        self.unplug_after: int | None = None
        self.descriptor = 0
        self.streaming = False
        self.stamps_s: list[float] = []
        self.log: list[int] = []
        self._buffers: list[bytearray] = []
        self._mapped: set[int] = set()
        self._queued: list[int] = []
        self._filled: list[tuple[int, int, int, float, int]] = []

    def open(self, path: Path) -> int:
        assert path == self.path and not self.descriptor
        self.descriptor = 7
        return self.descriptor

    def close(self, descriptor: int) -> None:
        self._check(descriptor)
        for buffer in self._buffers:
            buffer.append(0)  # BufferError where somebody still looks into it, which would keep the device open
        self._buffers = []
        self.descriptor = 0
        self.streaming = False

    def map(self, descriptor: int, length: int, offset: int) -> bytearray:
        self._check(descriptor)
        index = offset // 4096
        self._require(offset % 4096 == 0 and index < len(self._buffers) and length == len(self._buffers[index]), errno.EINVAL)
        self._mapped.add(index)
        return self._buffers[index]

    def wait(self, descriptor: int, timeout_s: float) -> bool:
        """The camera gives a picture, if it was not there already."""
        self._check(descriptor)
        if self.exposed == self.unplug_after:
            self.path.unlink(missing_ok=True)
            return True  # as poll: there is an error to take
        if not self._filled and timeout_s > 0:
            self.expose(1)
        return bool(self._filled)

    def expose(self, pictures: int) -> None:
        """So many pictures come, whether somebody takes them or not."""
        for _ in range(pictures):
            if self.streaming and self.exposed != self.silent_after:
                number, self.exposed = self.exposed, self.exposed + 1
                if self._queued:
                    self._fill(self._queued.pop(0), number)

    def ioctl(self, descriptor: int, request: int, argument: Any) -> None:
        self._check(descriptor)
        self.log.append(request)
        self._require(self.path.exists(), errno.ENODEV)
        self._require(request not in self.busy, errno.EBUSY)
        if request in self.fails:
            self._require(False, self.fails.pop(request))
        answers = {
            v4l2.QUERYCAP: self._query,
            v4l2.G_FMT: self._get_format,
            v4l2.S_FMT: self._set_format,
            v4l2.G_PARM: self._get_rate,
            v4l2.S_PARM: self._set_rate,
            v4l2.S_CTRL: self._control,
            v4l2.REQBUFS: self._request,
            v4l2.QUERYBUF: self._describe,
            v4l2.QBUF: self._queue,
            v4l2.DQBUF: self._dequeue,
            v4l2.STREAMON: lambda kind: self._stream(kind, True),
            v4l2.STREAMOFF: lambda kind: self._stream(kind, False),
        }
        self._require(request in answers, errno.ENOTTY)
        self._require(getattr(argument, "type", v4l2.CAPTURE) == v4l2.CAPTURE, errno.EINVAL)
        self._require(getattr(argument, "memory", v4l2.MMAP) == v4l2.MMAP, errno.EINVAL)
        answers[request](argument)

    @staticmethod
    def _require(true: bool, code: int) -> None:
        if not true:
            raise OSError(code, os.strerror(code))

    def _check(self, descriptor: int) -> None:
        self._require(bool(self.descriptor) and descriptor == self.descriptor, errno.EBADF)

    def _query(self, answer: Any) -> None:
        answer.capabilities, answer.device_caps = v4l2.DEVICE_CAPS | v4l2.CAN_CAPTURE, self.capabilities

    def _get_format(self, answer: Any) -> None:
        width, height = self.size
        bytes_a_pixel = {"YUYV": 2, "UYVY": 2, "BGR3": 3, "H264": 0, "MJPG": 0}.get(self.format, 1)
        stride = width * bytes_a_pixel + (self.padding if bytes_a_pixel else 0)
        pix = answer.fmt.pix
        pix.pixelformat, pix.width, pix.height, pix.field = v4l2.number_of(self.format), width, height, 1
        pix.bytesperline, pix.sizeimage = (
            stride,
            (stride or width * 2) * height * (3 if self.format in ("NV12", "NV21", "YU12") else 2) // 2,
        )

    def _set_format(self, asked: Any) -> None:
        self._require(not self._buffers and not self.streaming, errno.EBUSY)
        pix = asked.fmt.pix
        fourcc = v4l2.letters_of(pix.pixelformat)
        self._require(fourcc in self.formats or not self.refuses_other_formats, errno.EINVAL)
        self.format = fourcc if fourcc in self.formats else self.formats[0]
        self.size = min(self.sizes, key=lambda size: abs(size[0] - pix.width))
        self._get_format(asked)

    def _get_rate(self, answer: Any) -> None:
        self._require(bool(self.rates), errno.ENOTTY)
        answer.parm.capture.capability = v4l2.HAS_RATE
        answer.parm.capture.timeperframe.numerator, answer.parm.capture.timeperframe.denominator = 10, round(self.rate * 10)

    def _set_rate(self, asked: Any) -> None:
        self._require(not self.streaming, errno.EBUSY)
        period = asked.parm.capture.timeperframe
        self.rate = min(self.rates, key=lambda rate: abs(rate - period.denominator / period.numerator))
        self._get_rate(asked)

    def _control(self, control: Any) -> None:
        self._require(control.id in self.controls, errno.EINVAL)
        if control.id == v4l2.EXPOSURE_MODE:
            self._require(control.value in self.auto_modes, errno.EINVAL)
        else:
            self._require(self.controls[v4l2.EXPOSURE_MODE] == v4l2.MANUAL, errno.EACCES)
        self.controls[control.id] = control.value

    def _request(self, asked: Any) -> None:
        self._require(not self.streaming, errno.EBUSY)
        asked.count = max(asked.count, self.least_buffers)
        format_now = v4l2.Format(type=v4l2.CAPTURE)
        self._get_format(format_now)
        self._buffers = [bytearray(format_now.fmt.pix.sizeimage) for _ in range(asked.count)]

    def _describe(self, buffer: Any) -> None:
        self._require(buffer.index < len(self._buffers), errno.EINVAL)
        buffer.length, buffer.m.offset = len(self._buffers[buffer.index]), buffer.index * 4096

    def _queue(self, buffer: Any) -> None:
        taken = (*self._queued, *(filled[0] for filled in self._filled))
        self._require(buffer.index < len(self._buffers) and buffer.index not in taken, errno.EINVAL)
        self._queued.append(buffer.index)

    def _dequeue(self, buffer: Any) -> None:
        self._require(self.streaming, errno.EINVAL)
        self._require(bool(self._filled), errno.EAGAIN)
        buffer.index, buffer.bytesused, buffer.flags, stamp_s, buffer.sequence = self._filled.pop(0)
        buffer.timestamp.tv_sec, buffer.timestamp.tv_usec = int(stamp_s), int(stamp_s % 1 * 1e6)
        self.stamps_s.append(stamp_s)

    def _stream(self, kind: Any, on: bool) -> None:
        self._require(kind.value == v4l2.CAPTURE, errno.EINVAL)
        self._require(not on or bool(self._buffers and self._queued), errno.EINVAL)
        assert not on or self._mapped == set(range(len(self._buffers))), "pictures would come into memory that nobody can see"
        self.streaming = on
        self._queued = self._queued if on else []
        self._filled = []

    def _fill(self, index: int, number: int) -> None:
        width, height = self.size
        data = self._picture(number, width, height)
        data = data[: len(data) // 2] if number in self.cut else data
        self._buffers[index][: len(data)] = data
        flags = self.clock_flag | (v4l2.ERROR if number in self.damaged else 0)
        self._filled.append((index, len(data), flags, self.clock(), number if self.counts else 0))

    def _picture(self, number: int, width: int, height: int) -> bytes:
        if self.format in ("MJPG", "JPEG"):
            return cv2.imencode(".jpg", np.full((height, width, 3), number % 200, np.uint8))[1].tobytes()
        assert self.format == "YUYV"
        rows = np.full((height, width * 2 + self.padding), 128, np.uint8)
        rows[:, : width * 2 : 2] = 16 + number % 200
        return rows.tobytes()
