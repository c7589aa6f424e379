"""`poselift config`: every setting with its default, and whether a config file is right."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import poselift
from poselift.app.cli.console import say
from poselift.app.config import load

DEFAULTS = Path(poselift.__file__).with_name("config.yaml")
"""All settings with their units and defaults, for people to read."""


def config(path: Optional[Path]) -> None:
    """Print the defaults with their comments, or say that a config file is right. Raises UserError where it is not."""
    if path is None:
        print(DEFAULTS.read_text(encoding="utf-8"), end="")
        return
    load(path)
    say(f"{path}: all settings in it are known and allowed")
