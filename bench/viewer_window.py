"""The viewer's window for the bench, in a process of its own: says once a second how often it was drawn and how much memory is its own.

`python -m bench.viewer_window SECONDS OUT.png`: lines of JSON, and what it showed last.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import cv2
import psutil
from PySide6.QtCore import QTimer
from vispy import gloo

from bench.made_feed import MadeFeed
from poselift.app.view.show import Show
from poselift.app.view.sources import Live
from poselift.app.view.window import Window


def main(seconds: float, out: Path) -> None:
    """Show people walking for so long, drawn at every tick."""
    window = Window(Show(Live(MadeFeed(), "made up")), (1280, 720))
    window.always = True
    process, begin_s = psutil.Process(), time.monotonic()

    def report() -> None:
        now_s = time.monotonic()
        cpu = process.cpu_times()
        told = {"t_s": now_s - begin_s, "drawn": window.drawn, "memory": process.memory_full_info().uss, "cpu_s": cpu.user + cpu.system}
        print(json.dumps(told), flush=True)
        if now_s - begin_s >= seconds:
            timer.stop()
            cv2.imwrite(str(out), window.picture())
            print(json.dumps({"renderer": str(gloo.gl.glGetParameter(gloo.gl.GL_RENDERER)), "size": window.size_px}), flush=True)
            window.leave()

    timer = QTimer()
    timer.timeout.connect(report)
    timer.start(1000)
    window.run()


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
