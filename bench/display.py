"""A display that is not there: Xvfb, with Mesa's OpenGL in software."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from poselift.app.view.display_probe import display_problem


class NoDisplay(Exception):
    """There can be none here; says why."""


@contextmanager
def virtual_display(width_px: int = 3840, height_px: int = 2160) -> Iterator[dict[str, str]]:
    """The environment of programs that are to open windows there. Raises NoDisplay."""
    if not shutil.which("Xvfb"):
        raise NoDisplay("there is no Xvfb here (apt-get install xvfb)")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width_px}x{height_px}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as ready:
            number = ready.readline().strip()  # comes when it is ready, or nothing when it has ended
        if not number:
            raise NoDisplay("Xvfb does not start here")
        environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
        environment |= {"DISPLAY": f":{number}", "LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
        if problem := display_problem(environment):
            raise NoDisplay(problem)
        yield environment
    finally:
        server.terminate()
        server.wait()
