"""The viewer's window for the bench, in a process of its own: says once a second how often it was drawn and how much memory is its own.

`python -m bench.viewer_window SECONDS OUT.png`: lines of JSON, and what it showed last.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import cast

import cv2
import psutil
from PySide6.QtCore import QTimer
from vispy import gloo

from bench.synthetic_client import SyntheticClient
from poselift.app.remote.client import Client
from poselift.app.view.controller import Controller
from poselift.app.view.sources import LiveSource
from poselift.app.view.window import Window


def main(seconds: float, out: Path) -> None:
    """Show people walking for so long, redrawn at every tick."""
    window = Window(Controller(LiveSource(cast(Client, SyntheticClient()), "made up")), (1280, 720))
    window.redraw_always = True
    process, begin_s = psutil.Process(), time.monotonic()

    def report() -> None:
        now_s = time.monotonic()
        cpu = process.cpu_times()
        report_line = {
            "t_s": now_s - begin_s,
            "drawn": window.frames_drawn,
            "memory": process.memory_full_info().uss,
            "cpu_s": cpu.user + cpu.system,
        }
        print(json.dumps(report_line), flush=True)
        if now_s - begin_s >= seconds:
            timer.stop()
            cv2.imwrite(str(out), window.grab())
            print(json.dumps({"renderer": str(gloo.gl.glGetParameter(gloo.gl.GL_RENDERER)), "size": window.size_px}), flush=True)
            window.request_close()

    timer = QTimer()
    timer.timeout.connect(report)
    timer.start(1000)
    window.run()


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
