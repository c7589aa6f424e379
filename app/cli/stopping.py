"""Told to stop by Ctrl-C or SIGTERM: what is half done goes, what is done stays and is named, and the exit code tells of it."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType
from typing import Optional

TWICE_S = 0.2
"""Some send a signal to a process and then to its group: what comes so soon is the same one."""
AGAIN_S = 0.05
_IMPORT = "<frozen importlib._bootstrap>"
"""The file of the frames in which Python imports a module."""


class Stopped(SystemExit):
    """This command was told to stop, by a signal. A SystemExit, so that nothing takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = ""
        """What there is of its work, for people."""

    def __str__(self) -> str:
        """For people, in a line."""
        return f"stopped by {signal.Signals(self.number).name}" + (f"; kept: {self.kept}" if self.kept else "")


def stop_on_signals() -> None:
    """From now on Ctrl-C, SIGTERM and a closed terminal raise Stopped, wherever this process is; a second one does so once more.

    While a module is imported it waits, as an extension module may swallow what is raised there. nohup's wish is respected.
    """
    last_s = -math.inf
    waiting = 0

    def stop(number: int, frame: Optional[FrameType]) -> None:
        nonlocal last_s, waiting
        if _importing(frame):
            waiting = number
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        elif time.monotonic() - last_s > TWICE_S:
            last_s = time.monotonic()
            raise Stopped(number)

    signal.signal(signal.SIGALRM, lambda _, frame: stop(waiting, frame))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def _importing(frame: Optional[FrameType]) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORT:
        frame = frame.f_back
    return frame is not None
