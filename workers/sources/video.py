"""A video file: every picture, in order, with its own media time."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Optional

import av
from av.video.frame import VideoFrame

from poselift.app.config import CaptureConfig
from poselift.app.redact import display_name
from poselift.common.errors import UserError
from poselift.workers.sources.clocks import MediaClock
from poselift.workers.sources.libav import Converter, clock_may_jump, exact, has_times, stated_rate, video_stream, why
from poselift.workers.sources.paths import path_of
from poselift.workers.sources.source import CapturedPicture

_DEFAULT_FPS = 30
"""Paces pictures without times in a file without a rate."""
_FIRST = 3
"""So many pictures are decoded when the file is opened: one to see that it can be, more to see how far apart they are."""
_SOUND_S = 1.0
"""In a file with sound, pictures may end so much before it."""


class VideoFile:
    """The pictures of a video file, decoded on one thread, upright and with square pixels."""

    live = False

    def __init__(self, settings: CaptureConfig) -> None:
        self.name, self.note = display_name(settings.source), ""
        self._packets = self._delivered = self._damaged = 0
        self._container = self._open(path_of(settings.source))
        try:
            stream = video_stream(self._container)
            if stream is None:
                raise UserError(f"{self.name}: no video in this file, only sound or text; give a video file")
            self._stream = stream
            self._timed = has_times(self._container)
            self._rate = stated_rate(self._container, stream)
            self.heeds_fps = not self._timed and not self._rate
            self._assumed = self.heeds_fps and not settings.fps
            if self.heeds_fps:
                self._rate = Fraction(str(settings.fps or _DEFAULT_FPS))
            self.fps = float(self._rate)
            self.frames: Optional[int] = stream.frames or round(self._expected_s() * self._rate) or None
            self._period_ns = max(1, round(10**9 / (self._rate or _DEFAULT_FPS)))
            decoded = self._decode()
            first = list(islice(decoded, _FIRST))
            if not first:
                raise UserError(f"{self.name}: no picture in this video can be decoded ({stream.codec_context.name}); give another file")
            self._clock = MediaClock(self._period_ns, clock_may_jump(self._container), [frame.pts for frame in first])
            self._frames = chain(first, decoded)
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[CapturedPicture]:
        """The pictures; what cannot be decoded is left out and told in `note` at the end."""
        convert, clock, t_ns = Converter(self._stream), self._clock, 0
        for frame in self._frames:
            if self._timed:
                t_ns = clock.place(frame.pts, exact(frame.time_base))
            else:
                t_ns = clock.place(self._delivered, 1 / self._rate)
            yield CapturedPicture(convert(frame), t_ns)
            self._delivered += 1
        self.note = "; ".join(filter(None, self._notes(clock.anew, (t_ns + self._period_ns) / 1e9)))

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self, path: Path) -> av.container.InputContainer:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UserError(f"{self.name}: not a regular file; give a video file")
            container = av.open(f"file:{path}", "r")
        except FileNotFoundError:
            raise UserError(f"{self.name}: no such file; check the path") from None
        except PermissionError:
            raise UserError(f"{self.name}: no permission to read this file; check its owner and mode") from None
        except av.FFmpegError as error:
            raise UserError(f"{self.name}: not a video, or cut off before its index ({why(error)}); give a video file") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.name}: cannot be read ({why(error)}); check the path") from None
        if container.format.name == "tty":  # libav would draw a text file as pictures
            container.close()
            raise UserError(f"{self.name}: not a video but a text file; give a video file")
        return container

    def _decode(self) -> Iterator[VideoFrame]:
        """Frames as long as there are any; the file's last packet is an empty one that empties the decoder."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self._damaged += 1
                return
            if packet is None:
                return
            self._packets += packet.size > 0
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                continue
            yield from frames

    def _expected_s(self) -> float:
        """How long the file says it is, 0 where it does not; an AVI that was cut tells it by its number of pictures alone."""
        stream = self._stream
        if not self._timed:
            return 0.0
        counted_s = stream.frames / self.fps if self.fps else 0.0
        if stream.duration and stream.time_base:
            return max(counted_s, float(stream.duration * stream.time_base))
        return max(counted_s, (self._container.duration or 0) / 1e6)

    def _notes(self, anew: int, covered_s: float) -> Iterator[str]:
        if self._assumed and self._delivered > 1:
            yield f"{self.name} states no rate, and {_DEFAULT_FPS} pictures a second were assumed; say it with --fps (capture.fps)"
        if anew:
            often = "once" if anew == 1 else f"{anew} times"
            yield f"the file's clock begins anew or jumps {often}; what follows comes one period after what was before"
        yield self._shortfall(math.inf if anew else covered_s)

    def _shortfall(self, covered_s: float) -> str:
        """What is missing, for people. At the end it must be missing by time too: an AVI counts pictures that were never there."""
        counted = self._stream.frames
        if counted:
            slack_s = 0.5 / (self.fps or _DEFAULT_FPS)
        else:
            slack_s = 2 / (self.fps or _DEFAULT_FPS) if len(self._container.streams) == 1 else _SOUND_S
        if self._packets < (counted or math.inf) and self._expected_s() - covered_s > slack_s:
            return f"truncated: {self._delivered} of about {self.frames} frames could be read"
        if self._damaged:
            return f"damaged: {self._damaged} of {self._packets} parts could not be decoded, {self._delivered} frames were read"
        return ""
