"""A display that is not there: Xvfb, with Mesa's software OpenGL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from app.view.probe import missing


@contextmanager
def virtual_display() -> Iterator[dict[str, str]]:
    """The environment of programs that are to open windows there. Skips the test where there can be none."""
    if sys.platform != "linux" or not shutil.which("Xvfb"):
        pytest.skip("there is no Xvfb here: the viewer's window is not opened (apt-get install xvfb)")
    for name in ("vispy", "PySide6"):
        if find_spec(name) is None:
            pytest.skip(f"there is no {name} here: the viewer's window is not opened (pip install 'poselift[view]')")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "3840x2160x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()  # comes when it is ready, or nothing when it has ended
        if not number:
            pytest.skip("Xvfb does not start here: the viewer's window is not opened")
        environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
        environment |= {"DISPLAY": f":{number}", "LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
        why_not = missing(environment)
        if why_not:
            pytest.skip(f"no window can be opened on a virtual display: {why_not}")
        yield environment
    finally:
        server.terminate()
        server.wait()
