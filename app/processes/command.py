"""How poselift starts itself in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

COMMAND = (sys.executable, str(Path(__file__).parents[1] / "start"))
"""The command without its arguments; see `poselift.app.start`."""
