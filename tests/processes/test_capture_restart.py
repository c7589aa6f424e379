"""Capture killed and started again, as a process of its own: what it goes on with, and what it begins anew."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from patience import PATIENCE_S
from service_manager import Service

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.frames import RingReader
from poselift.app.dataflow.messages import End, Frame
from poselift.app.dataflow.session import join
from poselift.app.processes.process import connect
from poselift.workers.sources.pattern import PatternSource, read_number

FPS = 20


class Taker:
    """Takes frames as detect does, in this process: (number of the frame, of the picture in it, its time in s)."""

    def __init__(self, config: Any) -> None:
        self.folder = config.runtime_path()
        join(self.folder)  # the session lasts as long as somebody is in it
        self._config = config
        self.taken: list[tuple[int, int, float]] = []
        self.begin()

    def begin(self) -> None:
        """Listen, as who takes frames does when it is started; once capture has ended it is started anew."""
        self.bus: Bus = connect(self._config, "detect")
        self.ring = RingReader(self.folder, "detect")
        self.bus.listen()
        self.ended = False

    def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            messages = self.bus.receive(PATIENCE_S)
            assert messages, "nothing comes any more"
            for message in messages:
                self.ended = self.ended or isinstance(message, End)
                if isinstance(message, Frame):
                    with self.ring.picture(message) as pixels:
                        self.taken.append((message.frame, read_number(pixels), message.t_ns / 1e9))


@pytest.fixture
def taker(configure: Any, tmp_path: Path) -> Iterator[tuple[Taker, Path]]:
    path, config = configure(workers=["capture", "detect"], capture={"source": str(tmp_path / "pictures"), "fps": float(FPS)})
    taker = Taker(config)
    yield taker, path
    taker.bus.close()


def pictures(folder: Path, first: int, count: int = 200) -> None:
    """A folder of pictures, numbered in their pixels from `first` on, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, picture in enumerate(PatternSource(CaptureConfig(source=f"test:64x48@30,frames={first + count}"))):
        if number >= first:
            cv2.imwrite(str(folder / f"{number}.png"), picture.pixels)


def a_capture(runtime_folder: Path, path: Path) -> Service:
    return Service(runtime_folder, "-m", "poselift", "run", "capture", "--config", path)


def test_the_same_source_goes_on_and_another_one_begins(taker: Any, runtime_folder: Path, tmp_path: Path) -> None:
    taking, path = taker
    taken = taking.taken
    pictures(tmp_path / "pictures", 0)
    with a_capture(runtime_folder, path) as capture:
        taking.until(lambda: len(taken) >= 5)
        capture.process.kill()
    here = len(taken)
    with a_capture(runtime_folder, path) as capture:
        taking.until(lambda: len(taken) >= here + 5)
        capture.process.send_signal(signal.SIGTERM)
        capture.left()
    assert all(frame == number and abs(t_s - number / FPS) < 1e-6 for frame, number, t_s in taken), "as if nothing had happened"
    assert [frame for frame, _, _ in taken] == sorted({frame for frame, _, _ in taken})
    here, (last_frame, _, last_s) = len(taken), taken[-1]
    pictures(tmp_path / "pictures", 1000, count=10)
    for _ in range(2):  # it ends, and is asked for once more
        with a_capture(runtime_folder, path) as capture:
            taking.until(lambda: taking.ended)
            assert capture.left() == 0
        taking.bus.close()
        taking.begin()
        anew = taken[here:]
        assert 1000 <= anew[0][1] < anew[-1][1] == 1009, "from its start, not from where the other one was"
        assert anew[0][0] > last_frame and anew[0][2] >= last_s + 1
        assert all(abs((t_s - anew[0][2]) - (number - anew[0][1]) / FPS) < 1e-6 for _, number, t_s in anew)
        here, (last_frame, _, last_s) = len(taken), taken[-1]
