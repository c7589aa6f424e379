"""`poselift models`: the networks that are there, fetching those that are not, and converting others."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Optional

from rich.table import Table

from poselift.app.cli.console import console, say
from poselift.app.config import load
from poselift.app.offline.outputs import checkpoint_source, claim, set_aside
from poselift.common.atomic import replacing
from poselift.common.errors import ModelError, UserError
from poselift.models import store

COLOURS = {"present": "green", "missing": "yellow", "damaged": "red", "outdated": "yellow"}


def list_models(config_path: Optional[Path]) -> None:
    """Print every entry of the manifest with its state."""
    _print(store.status(load(config_path).models_path()))


def pull_models(config_path: Optional[Path]) -> None:
    """Fetch what is missing."""
    _print(store.pull(load(config_path).models_path(), say=console.print))


def convert_model(checkpoint: Path, architecture: str, causal: bool, rate: str, out: Path, overwrite: bool) -> None:
    """Write a VideoPose3D checkpoint as a lifter of ours."""
    widths, rate_hz = _widths(architecture), _rate_hz(rate)
    if out.suffix.lower() != ".onnx":
        raise UserError(f"{out}: a lifter goes into a file that ends in .onnx")
    try:
        from poselift.models.convert.videopose3d import convert
    except ModuleNotFoundError as error:
        raise ModelError(f"the conversion needs the package '{error.name}'; type: pip install 'poselift[convert]'") from None
    others: dict[Path, str] = {}
    if checkpoint.is_file():  # else the conversion says what is wrong with it
        source = checkpoint_source(checkpoint.name, hashlib.sha256(checkpoint.read_bytes()).hexdigest())
        others = claim([out], source, checkpoint, overwrite=overwrite)
    model = convert(checkpoint, widths, causal, rate_hz)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        for line in set_aside(others):
            say(line)
        with replacing(out) as part:
            part.write_bytes(model.SerializeToString(deterministic=True))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror or error})") from None
    delay_s = float(int(facts["delay"]) / rate_hz)
    late = f"live its poses come {delay_s:.2f} s late ({facts['delay']} columns at {rate} Hz)" if delay_s else "no delay is added"
    say(f"wrote {out}: {facts['kind']}, receptive field {facts['receptive_field']}; {late}")
    say(f"licence: {facts['licence']}")


def _widths(architecture: str) -> tuple[int, ...]:
    parts = [part.strip() for part in architecture.split(",")]
    if not all(part.isdecimal() and len(part) < 5 and int(part) % 2 for part in parts):
        raise UserError(f"--architecture {architecture}: odd filter widths are needed, the first layer's first, such as 3,3,3,3,3")
    return tuple(map(int, parts))


def _rate_hz(rate: str) -> Fraction:
    try:
        rate_hz = Fraction(rate)
    except (ValueError, ZeroDivisionError):
        rate_hz = Fraction(0)
    if not 1 <= rate_hz <= 1000:
        raise UserError(f"--rate {rate}: columns a second are needed, 1 to 1000, such as 50")
    return rate_hz


def _print(found: list[store.Status]) -> None:
    table = Table("name", "state", "licence", "source", "file")
    for entry, path, state, reason in found:
        source = entry.wheel.requirement if entry.wheel else "comes with poselift"
        table.add_row(entry.name, f"[{COLOURS[state]}]{state}[/] {reason}", entry.licence, source, str(path))
    console.print(table)
