"""The page on the architecture shows the table that the code uses."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_drawing_is_that_of_the_stream_table() -> None:
    page = runpy.run_path(str(DOCS / "drawing.py"))["page"]
    text = (DOCS / "architecture.md").read_text()
    assert "capture" in text.split("```mermaid")[1].split("```")[0]
    assert text == page(), "type: python docs/drawing.py"
