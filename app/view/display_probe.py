"""Checks whether a window with OpenGL can be opened here. It tries in another process, because Qt ends the process in which it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Optional

HINT = "`poselift status` works without a display"
PACKAGES = "libgl1 libegl1 libgl1-mesa-dri libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1 libdbus-1-3 libfontconfig1"
"""The packages of Debian and Ubuntu that Qt and OpenGL need."""
OPENGL = (2, 1)
TIMEOUT_S = 30.0

_TRY = """
import sys
sys.path[:] = filter(None, sys.path)  # not the current folder
try:
    from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
    import PySide6.QtOpenGL, vispy.gloo
except ImportError as error:
    sys.exit(f"library: {error}")
application = QGuiApplication(["poselift"])
context, surface = QOpenGLContext(), QOffscreenSurface()
surface.create()
if not context.create() or not context.makeCurrent(surface):
    sys.exit("opengl: none")
version = context.format().version()
if context.isOpenGLES() or version < (2, 1):
    sys.exit(f"opengl: {'ES ' if context.isOpenGLES() else ''}{version[0]}.{version[1]}")
"""


def display_problem(environment: Mapping[str, str] = os.environ) -> Optional[str]:
    """Why no window can be opened, one line for the user; None if one can."""
    absent = [name for name in ("vispy", "PySide6") if find_spec(name) is None]
    if absent:
        return f"the window needs {' and '.join(absent)}: pip install 'poselift[view]'; {HINT}"
    display = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY")
    if sys.platform.startswith("linux") and not display and not environment.get("QT_QPA_PLATFORM"):
        return f"there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set); {HINT}"
    try:
        tried = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, text=True, env=dict(environment), timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"the display {display} does not answer; {HINT}"
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines() or [f"it ended with {tried.returncode}"]
    kind, _, what = lines[-1].partition(": ")
    if kind == "library":
        return f"the window's libraries cannot be loaded ({what}); on Debian: apt-get install {PACKAGES}; {HINT}"
    if kind == "opengl":
        there = f"there is {what}" if what != "none" else "there is none"
        return f"the window needs OpenGL {OPENGL[0]}.{OPENGL[1]}, and {there}; on Debian: apt-get install libgl1-mesa-dri; {HINT}"
    if any("could not connect to display" in line for line in lines):
        return f"the display {display} cannot be opened; {HINT}"
    return f"Qt cannot open a window here ({lines[0][:200]}); on Debian: apt-get install {PACKAGES}; {HINT}"
