"""Puts the drawing of the stream table into architecture.md: `python docs/drawing.py`."""

from __future__ import annotations

import re
from pathlib import Path

from poselift.app.dataflow.streams import drawing

PAGE = Path(__file__).with_name("architecture.md")


def page() -> str:
    """The page with today's drawing."""
    return re.sub(r"(?<=```mermaid\n).*?(?=```\n<!-- end of drawing -->)", lambda _: drawing() + "\n", PAGE.read_text(), flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page())
