"""Every message in, crash-safe logs out: one after the other, as it is ordered."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import cv2

from poselift.app.config import Config, redacted
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.frames import PictureGone, RingReader
from poselift.app.dataflow.health import Meter
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Health, Message
from poselift.app.dataflow.saved_value import SavedValue
from poselift.app.dataflow.session import join
from poselift.app.processes.loop import FROM_FILE, OUT_OF_THE_WAY, Loop
from poselift.app.recording.orders import OFF, RECORD_START, RECORD_STOP
from poselift.app.recording.parts import free
from poselift.app.recording.pixels import with_pixels
from poselift.app.recording.writer import REMOVED, RecordingFull, RecordingWriter
from poselift.common.errors import UserError

DISK_FULL = "disk_full"
DISK_FAILED = "disk_failed"

log = logging.getLogger("record")


class Record:
    """Writes what it is given while recording is on.

    What begins by itself is NAME.mcap, or, where another session's recording is there, NAME-TIME.mcap, as is what is ordered. `lost` is
    why nothing can be written although recording is on, in a word such as 'disk_full', else it is empty. `note` says it to people, or that
    recording is off. A recorder that comes back after it was killed goes on as the one before it was ordered to.
    """

    def __init__(self, config: Config, now_s: Callable[[], float] = time.time) -> None:
        """Raises UserError where nothing can be recorded to the config's folder; one that comes back says so in its `note` instead."""
        assert config.record.folder is not None
        self.note, self.lost = OFF, ""
        self._config, self._folder, self._now_s = config, Path(config.record.folder), now_s
        self._session = join(config.runtime_path())
        settings = config.record.model_dump()
        self._saved = SavedValue(config.runtime_path(), "recording", str, self._session, settings=settings)
        self._writer: Optional[RecordingWriter] = None
        self._frames = 0
        saved = self._saved.read()
        self._saved_name = saved or ""
        self._came_back = bool(saved)
        begins = config.record.start or not config.live  # from a file, the recording is what it is done for
        name = saved if saved is not None else config.record.name if begins else ""
        if name:
            try:
                self._begin(self._folder / f"{name}.mcap")
            except (RecordingFull, UserError, OSError) as error:
                if isinstance(error, UserError) and not saved:
                    raise
                self._fail(error)

    @property
    def recording(self) -> str:
        """The recording that is being written, without its folder, such as 'session.mcap'; empty where there is none."""
        return self._writer.base.name if self._writer else ""

    def start(self) -> Answer:
        """Begin a new recording, whatever became of an earlier one."""
        if self._writer:
            return Answer(False, f"already recording {self._writer.base}")
        before, self._came_back = self._saved_name, False
        try:
            writer = self._begin(free(self._folder / f"{self._config.record.name}.mcap", self._now_s()))
        except (RecordingFull, UserError, OSError) as error:
            self._keep(before)
            return Answer(False, _words(error))
        return Answer(True, f"started {writer.base}")

    def stop(self) -> Answer:
        """End the recording: its file can be read when this returns."""
        writer, why = self._writer, "" if self.note == OFF else f": {self.note}"
        self._keep("")
        self._writer, self.note, self.lost = None, OFF, ""
        if writer is None:
            return Answer(False, f"not recording{why}")
        try:
            writer.close()
        except (RecordingFull, OSError) as error:
            return Answer(False, _words(error))
        if not writer.path.exists():
            return Answer(False, f"{writer.path}: {REMOVED}")
        since = " since the recorder came back" if self._came_back else ""
        return Answer(True, f"stopped {writer.base}, {self._frames} frames{since}")

    def step(self, message: Message) -> bool:
        """Write a message; whether it was written."""
        if self._writer is None:
            return False
        try:
            self._writer.write(message)
        except (RecordingFull, UserError, OSError) as error:
            self._fail(error)
            return False
        self._frames += isinstance(message, Frame)
        return True

    def close(self) -> None:
        """Finish the file of a recording that is on."""
        try:
            if self._writer:
                self._writer.close()
        except (RecordingFull, OSError) as error:
            self._fail(error)

    def remember(self) -> None:
        """Save once more what was saved: the file is gone."""
        with suppress(OSError):
            self._saved.write(self._saved_name)

    def forget(self) -> None:
        """The work is done: what was ordered no longer counts."""
        self._saved.forget()

    def _begin(self, path: Path) -> RecordingWriter:
        self._frames = 0
        self._keep(path.stem)  # first: who is killed while the file is made shall make it when it comes back
        info = {"config": redacted(self._config), **self._session.facts()}
        writer = self._writer = RecordingWriter(path, info, min_free_mb=self._config.record.min_free_mb)
        if writer.base != path:
            self._keep(writer.base.stem)
        self.note, self.lost = "", ""
        return writer

    def _keep(self, name: str) -> None:
        self._saved_name = name
        self._saved.write(name)

    def _fail(self, error: Exception) -> None:
        writer, self._writer = self._writer, None
        if writer:
            with suppress(RecordingFull, OSError):
                writer.close()
        self.note, self.lost = _words(error), DISK_FULL if isinstance(error, RecordingFull) else DISK_FAILED
        log.warning("%s", self.note)


def run(config: Config, bus: Bus) -> None:
    """Everything that anybody sends, as it comes; frames with their pictures compressed."""
    cv2.setNumThreads(1)
    record = Record(config)
    rest, commands = (OUT_OF_THE_WAY, (RECORD_START, RECORD_STOP)) if config.live else (FROM_FILE, ())
    loop = Loop(bus, rest, commands, mended=record.remember)
    loop.on_signals()
    pictures = Pictures(config, RingReader(config.runtime_path(), bus.worker), loop.meter)
    _tell(record, loop.meter)
    for message in loop.inputs():
        if isinstance(message, Control):
            loop.answer(_obey(message, record))
        elif record.step(pictures.packed(message, bool(record.recording)) if isinstance(message, Frame) else message):
            loop.done(message)
        elif not isinstance(message, (Health, End)):
            loop.skip(record.lost) if record.lost else loop.pass_by()
        _tell(record, loop.meter)
    record.close()
    _tell(record, loop.meter)
    loop.end()
    record.forget()


def _obey(control: Control, record: Record) -> Answer:
    answer = record.start() if control.command == RECORD_START else record.stop()
    log.info("%s", answer.text)
    return answer


def _tell(record: Record, meter: Meter) -> None:
    meter.note, meter.recording = record.note, record.recording


class Pictures:
    """Turns frames of the ring into frames that carry their picture."""

    def __init__(self, config: Config, ring: RingReader, meter: Meter) -> None:
        self._encoding, self._quality = config.record.pictures, config.record.jpeg_quality
        self._ring, self._meter = ring, meter

    def packed(self, frame: Frame, wanted: bool) -> Frame:
        """The frame with its picture compressed; without it where nobody wants it, or where it was overwritten before we came to it."""
        if wanted and self._encoding != "none":
            try:
                with self._ring.picture(frame) as picture:
                    return with_pixels(frame, picture, self._encoding, self._quality)
            except PictureGone as gone:
                self._meter.drop({gone.reason: 1})
        self._ring.release(frame)
        return replace(frame, encoding="none")


def _words(error: Exception) -> str:
    """What went wrong with the disk, in a line for people."""
    return f"{error.filename or 'the disk'}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
