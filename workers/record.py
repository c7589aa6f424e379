"""Every message in, one crash-safe log out."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Optional

import cv2

from app.bus import Bus
from app.config import Config, redacted
from app.frames import Overwritten, RingReader
from app.ledger import OVERWRITTEN
from app.loop import Loop
from app.messages import End, Frame, Health, Message
from app.pixels import with_pixels
from app.recording import RecordingFull, RecordingWriter

DISK_FULL = "disk_full"
NICENESS = 10
"""Compressing a picture takes as long as detecting in it; a recorder must not be in the way of those behind the newest frame."""
REST_S = 0.02
"""Waking for every message alone would cost the other workers time; held pictures lie in the ring so much longer."""

log = logging.getLogger("record")


class Record:
    """Writes what it is given until the disk is full; then lets the rest go by. `full` says why, else it is empty."""

    def __init__(self, config: Config) -> None:
        folder = config.record.folder
        assert folder is not None
        self.full = ""
        self._writer: Optional[RecordingWriter] = None
        try:
            path = Path(folder) / f"{config.record.name}.mcap"
            self._writer = RecordingWriter(path, {"config": redacted(config)}, min_free_mb=config.record.min_free_mb)
        except RecordingFull as full:
            self.full = str(full)

    def step(self, message: Message) -> bool:
        """Write a message; whether it could be written."""
        if self._writer is None:
            return False
        try:
            self._writer.write(message)
        except RecordingFull as full:
            self.full, self._writer = str(full), None
        return self._writer is not None

    def close(self) -> None:
        """Finish the file."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except RecordingFull as full:
            self.full, self._writer = str(full), None


def run(config: Config, bus: Bus) -> None:
    """Everything that anybody sends, as it comes; frames with their pictures compressed."""
    loop = Loop(bus, REST_S)
    loop.on_signals()
    cv2.setNumThreads(1)
    os.nice(NICENESS)
    record = Record(config)
    pictures = Pictures(config, RingReader(config.runtime_path(), bus.worker), loop)
    for message in loop.inputs():
        written = record.step(pictures.packed(message, wanted=not record.full) if isinstance(message, Frame) else message)
        if record.full and not loop.meter.note:
            loop.meter.note = record.full
            log.warning("%s", record.full)
        if not isinstance(message, (Health, End)):
            loop.done(message) if written else loop.skip(DISK_FULL)
    record.close()
    loop.end()


class Pictures:
    """Turns frames of the ring into frames that carry their picture."""

    def __init__(self, config: Config, ring: RingReader, loop: Loop) -> None:
        self._encoding, self._quality = config.record.pictures, config.record.jpeg_quality
        self._ring, self._loop = ring, loop

    def packed(self, frame: Frame, wanted: bool) -> Frame:
        """The frame with its picture compressed; without it where nobody wants it, or where it was overwritten before we came to it."""
        if wanted and self._encoding != "none":
            try:
                with self._ring.picture(frame) as picture:
                    return with_pixels(frame, picture, self._encoding, self._quality)
            except Overwritten:
                self._loop.meter.drop({OVERWRITTEN: 1})
        self._ring.release(frame)
        return replace(frame, encoding="none")
