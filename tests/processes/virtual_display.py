"""The bench's virtual display for tests: where there can be none, they are skipped, and say why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.display import NoDisplay
from bench.display import virtual_display as display


@contextmanager
def virtual_display() -> Iterator[dict[str, str]]:
    """The environment of programs that are to open windows there."""
    try:
        with display() as environment:
            yield environment
    except NoDisplay as why:
        pytest.skip(f"the viewer's window is not opened: {why}")
