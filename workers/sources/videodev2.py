"""The kernel's interface to cameras (Video4Linux, linux/videodev2.h): its structures, and one short function a system call.

Facts are from the kernel's documentation, "Video for Linux API". Structures and numbers are those of 64-bit machines; a test compares them
with the header. Each function raises OSError as the kernel refuses.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""
MMAP = 1
"""V4L2_MEMORY_MMAP."""
CAN_CAPTURE, CAN_CAPTURE_PLANES, CAN_STREAM, DEVICE_CAPS = 0x1, 0x1000, 0x4000000, 0x80000000
HAS_RATE = 0x1000
"""V4L2_CAP_TIMEPERFRAME."""
ERROR = 0x40
"""V4L2_BUF_FLAG_ERROR: the data may be damaged, by a transfer error for one."""
CLOCK, MONOTONIC = 0xE000, 0x2000
"""V4L2_BUF_FLAG_TIMESTAMP_MASK and _MONOTONIC: which clock the timestamp is on."""
EXPOSURE_MODE, EXPOSURE = 0x009A0901, 0x009A0902
"""V4L2_CID_EXPOSURE_AUTO; V4L2_CID_EXPOSURE_ABSOLUTE, in units of 100 us."""
AUTOMATIC, MANUAL, APERTURE_PRIORITY = 0, 1, 3

_u8, _u32 = ctypes.c_uint8, ctypes.c_uint32


def _struct(name: str, *fields: tuple[str, Any]) -> Any:
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def _union(name: str, *fields: tuple[str, Any]) -> Any:
    return type(name, (ctypes.Union,), {"_fields_": fields})


Capability = _struct(
    "v4l2_capability",
    ("driver", _u8 * 16),
    ("card", _u8 * 32),
    ("bus_info", _u8 * 32),
    ("version", _u32),
    ("capabilities", _u32),
    ("device_caps", _u32),
    ("reserved", _u32 * 3),
)
PixFormat = _struct(
    "v4l2_pix_format",
    *((name, _u32) for name in ("width", "height", "pixelformat", "field", "bytesperline", "sizeimage", "colorspace", "priv", "flags")),
    *((name, _u32) for name in ("ycbcr_enc", "quantization", "xfer_func")),
)
Format = _struct(
    "v4l2_format",
    ("type", _u32),
    ("fmt", _union("fmt", ("pix", PixFormat), ("pointers", ctypes.c_void_p), ("raw_data", _u8 * 200))),
)
Fract = _struct("v4l2_fract", ("numerator", _u32), ("denominator", _u32))
CaptureParm = _struct(
    "v4l2_captureparm",
    ("capability", _u32),
    ("capturemode", _u32),
    ("timeperframe", Fract),
    ("extendedmode", _u32),
    ("readbuffers", _u32),
    ("reserved", _u32 * 4),
)
StreamParm = _struct("v4l2_streamparm", ("type", _u32), ("parm", _union("parm", ("capture", CaptureParm), ("raw_data", _u8 * 200))))
RequestBuffers = _struct(
    "v4l2_requestbuffers",
    *((name, _u32) for name in ("count", "type", "memory", "capabilities")),
    ("flags", _u8),
    ("reserved", _u8 * 3),
)
Timeval = _struct("timeval", ("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long))
Timecode = _struct(
    "v4l2_timecode",
    ("type", _u32),
    ("flags", _u32),
    *((name, _u8) for name in ("frames", "seconds", "minutes", "hours")),
    ("userbits", _u8 * 4),
)
Buffer = _struct(
    "v4l2_buffer",
    *((name, _u32) for name in ("index", "type", "bytesused", "flags", "field")),
    ("timestamp", Timeval),
    ("timecode", Timecode),
    ("sequence", _u32),
    ("memory", _u32),
    ("m", _union("m", ("offset", _u32), ("userptr", ctypes.c_ulong), ("planes", ctypes.c_void_p), ("fd", ctypes.c_int32))),
    ("length", _u32),
    ("reserved2", _u32),
    ("request_fd", ctypes.c_int32),
)
Control = _struct("v4l2_control", ("id", _u32), ("value", ctypes.c_int32))

_WRITES, _READS = 1, 2


def _number(direction: int, number: int, argument: Any) -> int:
    """An ioctl's number: direction, size of its argument, 'V', its own number (asm-generic/ioctl.h)."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


QUERYCAP = _number(_READS, 0, Capability)
G_FMT, S_FMT = (_number(_READS | _WRITES, number, Format) for number in (4, 5))
REQBUFS = _number(_READS | _WRITES, 8, RequestBuffers)
QUERYBUF, QBUF, DQBUF = (_number(_READS | _WRITES, number, Buffer) for number in (9, 15, 17))
STREAMON, STREAMOFF = (_number(_WRITES, number, ctypes.c_int) for number in (18, 19))
G_PARM, S_PARM = (_number(_READS | _WRITES, number, StreamParm) for number in (21, 22))
S_CTRL = _number(_READS | _WRITES, 28, Control)


class Kernel(Protocol):
    """What is asked of the operating system: `LINUX`, or a test's stand-in."""

    def open(self, path: Path) -> int:
        """A descriptor of the device."""

    def ioctl(self, descriptor: int, number: int, argument: Any) -> None:
        """One request; the kernel writes into `argument`."""

    def map(self, descriptor: int, length: int, offset: int) -> Any:
        """One of the driver's buffers, as memory."""

    def wait(self, descriptor: int, timeout_s: float) -> bool:
        """Whether a buffer, or an error, can be taken within this time."""

    def close(self, descriptor: int) -> None:
        """Give the device back."""


class _Linux:
    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, descriptor: int, number: int, argument: Any) -> None:
        fcntl.ioctl(descriptor, number, argument)

    def map(self, descriptor: int, length: int, offset: int) -> Any:
        return mmap.mmap(descriptor, length, offset=offset)

    def wait(self, descriptor: int, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def close(self, descriptor: int) -> None:
        os.close(descriptor)


LINUX: Kernel = _Linux()


def capabilities(kernel: Kernel, descriptor: int) -> int:
    """What this device can do."""
    answer = Capability()
    kernel.ioctl(descriptor, QUERYCAP, answer)
    return int(answer.device_caps if answer.capabilities & DEVICE_CAPS else answer.capabilities)


def set_format(kernel: Kernel, descriptor: int, fourcc: str, width_px: int, height_px: int) -> Any:
    """Ask for a pixel format and size; the PixFormat that the driver has chosen."""
    asked = Format(type=CAPTURE)
    kernel.ioctl(descriptor, G_FMT, asked)
    pix = asked.fmt.pix
    pix.pixelformat, pix.width, pix.height = number_of(fourcc), width_px, height_px
    pix.field = pix.bytesperline = pix.sizeimage = 0
    kernel.ioctl(descriptor, S_FMT, asked)
    return asked.fmt.pix


def set_rate(kernel: Kernel, descriptor: int, fps: float) -> float:
    """Ask for pictures per second; what the driver has chosen, 0 where it does not say."""
    asked = StreamParm(type=CAPTURE)
    kernel.ioctl(descriptor, G_PARM, asked)
    capture, wanted = asked.parm.capture, Fraction(fps).limit_denominator(1001)
    if capture.capability & HAS_RATE:
        capture.timeperframe.numerator, capture.timeperframe.denominator = wanted.denominator, wanted.numerator
        kernel.ioctl(descriptor, S_PARM, asked)
    period = asked.parm.capture.timeperframe
    return period.denominator / period.numerator if period.numerator else 0.0


def set_control(kernel: Kernel, descriptor: int, control: int, value: int) -> None:
    """Set one of the camera's controls."""
    kernel.ioctl(descriptor, S_CTRL, Control(control, value))


def request_buffers(kernel: Kernel, descriptor: int, count: int) -> int:
    """Ask for buffers in the driver's memory; how many there are."""
    asked = RequestBuffers(count=count, type=CAPTURE, memory=MMAP)
    kernel.ioctl(descriptor, REQBUFS, asked)
    return int(asked.count)


def map_buffer(kernel: Kernel, descriptor: int, index: int) -> Any:
    """One of the buffers, as memory."""
    buffer = Buffer(index=index, type=CAPTURE, memory=MMAP)
    kernel.ioctl(descriptor, QUERYBUF, buffer)
    return kernel.map(descriptor, buffer.length, buffer.m.offset)


def queue(kernel: Kernel, descriptor: int, index: int) -> None:
    """Give a buffer to the driver, to be filled."""
    kernel.ioctl(descriptor, QBUF, Buffer(index=index, type=CAPTURE, memory=MMAP))


def dequeue(kernel: Kernel, descriptor: int) -> Any:
    """The Buffer that was filled first. Raises BlockingIOError where none is."""
    buffer = Buffer(type=CAPTURE, memory=MMAP)
    kernel.ioctl(descriptor, DQBUF, buffer)
    return buffer


def stream(kernel: Kernel, descriptor: int, on: bool) -> None:
    """Have the driver fill buffers, or stop it and take them all back."""
    kernel.ioctl(descriptor, STREAMON if on else STREAMOFF, ctypes.c_int(CAPTURE))


def number_of(fourcc: str) -> int:
    """A pixel format's number from its four letters."""
    return int.from_bytes(fourcc.encode("ascii", "replace"), "little")


def letters_of(number: int) -> str:
    """A pixel format's letters, without what cannot be shown."""
    return "".join(chr(byte) if 32 < byte < 127 else "?" for byte in number.to_bytes(4, "little") if byte != 32)
