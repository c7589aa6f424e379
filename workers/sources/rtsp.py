"""A network camera by RTSP: over TCP, where loss becomes delay, or over UDP where the camera offers nothing else.

A smeared picture would be taken for a person's movement. So over UDP, after a loss, everything is left out until the next whole picture.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional, Union

import av
import av.logging
from av.packet import Packet
from av.video.stream import VideoStream

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import DAMAGED
from poselift.app.redact import display_name
from poselift.common.errors import UserError
from poselift.workers.sources.clocks import CameraClock
from poselift.workers.sources.libav import Converter, rate, video_stream, why
from poselift.workers.sources.source import CapturedPicture, Lost, SourceLost, opening

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 3.0
"""A camera that sends nothing for so long is lost; a signal's handler waits no longer either."""
PICTURE_TIMEOUT_S = 15.0
"""So long may data come without a picture: some cameras send a whole one only every ten seconds."""

_TRANSPORTS = ("tcp", "udp")
"""In the order in which they are tried."""
_OPTIONS = {
    "allowed_media_types": "video",
    "fpsprobesize": "0",  # do not collect pictures to guess their rate: open sooner by most of a second
}
"""Not `fflags=nobuffer`: it throws away what came while opening, and with it the only whole picture for seconds; kept, those pictures are
decoded at once, and the delay afterwards is the same."""
_MISSED = "RTP: missed"
"""How libav says in its log, and nowhere else, that packets did not come."""
_LATER_AT = re.compile(r"[^/?#]*[/?#].*@", re.DOTALL)
_HOST = re.compile(r"([^/?#]*@)?(\[[^]]*\]|[^:/?#]*)(:\d*)?(?=[/?#]|$)")
_CODED = "write special characters in the user and the password as %XX: / as %2F, # as %23, ? as %3F, the at sign as %40"


class RtspSource:
    """The camera's pictures as they come; their times are its own, put onto this machine's clock (see CameraClock).

    No text made here holds the user or the password: libav's own texts, which may, are left out and out of the chain of exceptions.
    """

    live = True
    heeds_fps = False
    frames: Optional[int] = None

    def __init__(self, settings: CaptureConfig, open_timeout_s: float = OPEN_TIMEOUT_S, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self.name, self.fps = display_name(settings.source), 0.0
        self._read_timeout_s = read_timeout_s
        self._container, self._udp = self._open(settings.source, (open_timeout_s, read_timeout_s))
        self.note = f"{self.name}: this camera offers UDP only; what is damaged by packets lost on the way is left out" if self._udp else ""
        with opening(self, lambda lost: f"{lost}; check the camera"):
            stream = video_stream(self._container)
            if stream is None:
                raise UserError(f"{self.name}: this camera sends no video; check the path of its address")
            self.fps = float(rate(stream))
            self._convert, self._clock = Converter(stream), CameraClock()
            self._packets = self._container.demux(stream)
            self._decoded = self._decode()
            self._first: Optional[CapturedPicture] = next(given for given in self._decoded if isinstance(given, CapturedPicture))

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        """The pictures, and what came damaged between them, for ever. Raises SourceLost."""
        if self._first:
            yield self._first
            self._first = None
        yield from self._decoded

    def close(self) -> None:
        """Leave the camera."""
        self._container.close()

    def _open(self, address: str, timeouts_s: tuple[float, float]) -> tuple[av.container.InputContainer, bool]:
        """The camera, and whether it is over UDP."""
        scheme, _, place = address.partition("://")
        coded_wrong = _LATER_AT.match(place)
        if coded_wrong and not _HOST.match(place):
            raise UserError(f"{self.name}: not an address; {_CODED}")
        begin_s, reason = time.monotonic(), ""
        for transport in _TRANSPORTS:
            options = {**_OPTIONS, "rtsp_transport": transport}
            try:
                return av.open(f"{scheme.lower()}://{place}", "r", format="rtsp", options=options, timeout=timeouts_s), transport == "udp"
            except (av.HTTPUnauthorizedError, av.HTTPForbiddenError):
                reason = f"user or password refused; write USER:PASSWORD and an at sign before the host, and {_CODED}"
                break
            except av.HTTPNotFoundError:
                reason = "the camera has no such stream (not found); check the path"
                break
            except ConnectionRefusedError:
                reason = "nobody listens there (connection refused); check host and port"
                break
            except (av.FFmpegError, ValueError) as error:  # when the time is over libav may call it anything
                if time.monotonic() - begin_s >= timeouts_s[0]:
                    reason = reason or f"no answer within {timeouts_s[0]:g} s; check host and port, and whether the camera is on"
                    break
                reason = reason or f"cannot be opened ({why(error)}); check host, port and path"
        raise UserError(f"{self.name}: {reason}{f'; {_CODED}' if coded_wrong and _CODED not in reason else ''}")

    def _decode(self) -> Iterator[Union[CapturedPicture, Lost]]:
        picture_by_s = time.monotonic() + PICTURE_TIMEOUT_S
        begun = smeared = False
        while True:
            with _misses(self._udp) as misses:
                packet = self._next_packet()
            arrival_ns = time.monotonic_ns()
            try:
                frames = packet.decode()
            except av.FFmpegError:  # until the first whole picture, and after a loss: the next whole one mends it
                frames = []
                if begun:
                    yield Lost(1, DAMAGED)
            for frame in frames:
                smeared = bool(misses) or frame.is_corrupt or (smeared and not frame.key_frame)
                if not smeared:
                    pts_ns = None if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * 10**9)
                    begun = True
                    yield CapturedPicture(self._convert(frame), self._clock.place(pts_ns, arrival_ns))
                    picture_by_s = time.monotonic() + PICTURE_TIMEOUT_S
                elif begun:
                    yield Lost(1, DAMAGED)
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


@contextmanager
def _misses(wanted: bool) -> Iterator[list[str]]:
    """What libav says of packets that did not come meanwhile. Its other lines, which may hold a password, go nowhere."""
    misses: list[str] = []
    if not wanted:
        yield misses
        return
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as said:
            yield misses
    finally:
        av.logging.set_level(None)
    misses += [text for _, _, text in said if _MISSED in text]
