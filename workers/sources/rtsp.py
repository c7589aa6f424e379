"""A network camera by RTSP, over TCP: loss becomes delay, never a smeared picture that would be taken for a person's movement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Optional

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from app.config import CaptureConfig
from app.errors import UserError
from app.redact import display_name
from workers.sources.clocks import CameraClock
from workers.sources.libav import Converter, rate, video_stream, why
from workers.sources.picture import Picture, SourceLost

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 3.0
"""A camera that sends nothing for so long is lost; a signal's handler waits no longer either."""
PICTURE_TIMEOUT_S = 15.0
"""So long may data come without a picture: some cameras send a whole one only every ten seconds."""

_OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    "fpsprobesize": "0",  # do not collect pictures to guess their rate: open sooner by most of a second
}
"""Not `fflags=nobuffer`: it throws away what came while opening, and with it the only whole picture for seconds; kept, those pictures are
decoded at once, and the delay afterwards is the same."""


class RtspSource:
    """The camera's pictures as they come; their times are its own, put onto this machine's clock (see CameraClock).

    No text made here holds the user or the password: libav's own texts, which may, are left out and out of the chain of exceptions.
    """

    live = True
    heeds_fps = False
    frames: Optional[int] = None
    note = ""

    def __init__(self, settings: CaptureConfig, open_timeout_s: float = OPEN_TIMEOUT_S, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self.name = display_name(settings.source)
        self._read_timeout_s = read_timeout_s
        self._container = self._open(settings.source, (open_timeout_s, read_timeout_s))
        stream = video_stream(self._container)
        if stream is None:
            self.close()
            raise UserError(f"{self.name}: this camera sends no video; check the path of its address")
        self.fps = float(rate(stream))
        self._convert, self._clock = Converter(stream), CameraClock()
        self._packets = self._container.demux(stream)
        self._decoded = self._decode()
        try:
            self._first: Optional[Picture] = next(self._decoded)
        except SourceLost as lost:
            self.close()
            raise UserError(f"{lost}; check the camera") from None

    def __iter__(self) -> Iterator[Picture]:
        """The pictures, for ever. Raises SourceLost."""
        if self._first:
            yield self._first
            self._first = None
        yield from self._decoded

    def close(self) -> None:
        """Leave the camera."""
        self._container.close()

    def _open(self, address: str, timeouts_s: tuple[float, float]) -> av.container.InputContainer:
        begin_s = time.monotonic()
        try:
            return av.open(address, "r", format="rtsp", options=_OPTIONS, timeout=timeouts_s)
        except (av.HTTPUnauthorizedError, av.HTTPForbiddenError):
            reason = "user or password refused; write rtsp://USER:PASSWORD@HOST/PATH, with special characters as %XX"
        except av.HTTPNotFoundError:
            reason = "the camera has no such stream (not found); check the path"
        except ConnectionRefusedError:
            reason = "nobody listens there (connection refused); check host and port"
        except (av.FFmpegError, ValueError) as error:  # when the time is over libav may call it anything
            if time.monotonic() - begin_s >= timeouts_s[0]:
                reason = f"no answer within {timeouts_s[0]:g} s; check host and port, and whether the camera is on"
            else:
                reason = f"cannot be opened ({why(error)}); check host, port and path"
        raise UserError(f"{self.name}: {reason}")

    def _decode(self) -> Iterator[Picture]:
        picture_by_s = time.monotonic() + PICTURE_TIMEOUT_S
        while True:
            packet = self._next_packet()
            arrival_ns = time.monotonic_ns()
            for frame in self._frames(packet):
                pts_ns = None if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * 10**9)
                yield Picture(self._convert(frame), self._clock.place(pts_ns, arrival_ns))
                picture_by_s = time.monotonic() + PICTURE_TIMEOUT_S
            if time.monotonic() > picture_by_s:
                raise SourceLost(f"{self.name}: the camera sends data, but no picture that can be decoded for {PICTURE_TIMEOUT_S:g} s")

    def _next_packet(self) -> Packet[VideoStream]:
        begin_s = time.monotonic()
        packet, reason = None, "the camera ended the stream"
        try:
            packet = next(self._packets, None)
        except av.FFmpegError as error:
            reason = f"the connection to the camera broke ({why(error)})"
        if time.monotonic() - begin_s >= self._read_timeout_s:  # when the time is over libav raises, or gives what it had left
            reason = f"the camera has sent nothing for {self._read_timeout_s:g} s"
        elif packet is not None and packet.size:
            return packet
        raise SourceLost(f"{self.name}: {reason}")

    def _frames(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError:  # until the first whole picture, and after a loss: the next whole one mends it
            return []
