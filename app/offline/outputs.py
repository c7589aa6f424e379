"""What work on files may write: never over what it reads, and over what was made from something else only where the user asks.

A result says what it was made from: `source` in an npz or json file, the comment of a video, the settings in a recording, an ONNX file's
metadata. One of the same source is replaced, one of another is kept under another name, and a file that says nothing is somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Callable, Optional

from poselift.app.export import FORMATS
from poselift.app.recording.parts import parts
from poselift.app.recording.reader import Recording
from poselift.app.redact import display_name
from poselift.common.errors import UserError
from poselift.models.backends.file_metadata import file_metadata


def claim(outputs: Iterable[Path], source: str, *read: Optional[Path], overwrite: bool) -> dict[Path, str]:
    """Look at every file that is to be written, before the work begins: which results of what other sources are in their place.

    source: what the results are made from, as they will say; a path is read, as are the files of `read`.
    overwrite: whether results of another source, and files that are no results, may go.
    Raises UserError where a file may not be written.
    """
    # Resolved, as a folder that is not there yet may be left again: new/../a.mp4.
    outputs = [output.parent.resolve() / output.name for output in outputs]
    files = [file for path in (Path(source), *read) if path for file in _files(path)]
    others: dict[Path, str] = {}
    for output in outputs:
        for path in _files(output):
            keep_apart(path, files)
    for output in outputs:
        for path in _files(output):
            if path.is_dir():
                raise UserError(f"{path}: a folder has the name of a result; name another place with -o")
            if overwrite or not path.exists() or not path.stat().st_size:
                continue
            made_from = source_of(path)
            if made_from is None:
                raise UserError(f"{path}: this file is no result that says its source; name another place with -o, or give --overwrite")
            if not _same_source(made_from, source):
                others[output] = made_from
    return others


def set_aside(others: Mapping[Path, str]) -> list[str]:
    """Give results of other sources a name with a number, all of them the same one; lines that say so."""
    said = []
    number = next(number for number in count(1) if not any(file.exists() for output in others for file in _files(_aside(output, number))))
    for output, made_from in others.items():
        aside = _aside(output, number)
        for file in _files(output):
            file.rename(aside.with_name(aside.stem + file.name[len(output.stem) :]))
        said.append(f"kept the result of {made_from} as {aside}")
    return said


def make_folder(out: Path) -> None:
    """Make the folder for results before the work that fills it. Raises UserError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: this folder cannot be made ({error.strerror}); name another with -o") from None


def keep_apart(output: Path, read: Iterable[Path]) -> None:
    """Raise UserError where `output` is one of the files that are read, by whatever name, or lies in a folder of pictures that is."""
    for file in read:
        if _same_file(output, file):
            raise UserError(f"{output}: this file is read, and would be lost; name another place for the results")
        if file.is_dir() and _same_file(output.parent, file):
            raise UserError(f"{output.parent}: the pictures are read from this folder; name another for the results")


def _aside(output: Path, number: int) -> Path:
    return output.with_name(f"{output.stem}-{number}{output.suffix}")


def source_of(path: Path) -> Optional[str]:
    """What a result was made from; None where it does not say."""
    told = _TOLD.get(path.suffix.lower())
    try:
        source = told(path) if told else None
    except Exception:  # whatever it is, it is no result of ours
        return None
    return source if isinstance(source, str) and source else None


def checkpoint_source(name: str, sha256: str) -> str:
    """What a converted network says of its source: it may be given away, so no path."""
    return f"{name} (sha256 {sha256[:12]})"


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())["source"]


def _recording(path: Path) -> Any:
    return Recording(path).setting("capture", "source")


def _network(path: Path) -> Any:
    metadata = file_metadata(path)
    return checkpoint_source(metadata["source"], metadata["source_sha256"])


_TOLD: dict[str, Callable[[Path], Any]] = {
    **{suffix: found.made_from for suffix, found in FORMATS.items()},
    ".json": _json,
    ".mcap": _recording,
    ".onnx": _network,
}


def _same_source(made_from: str, source: str) -> bool:
    if made_from in (source, display_name(source)):  # a recording holds no secrets
        return True
    return Path(made_from).is_absolute() and Path(made_from).resolve() == Path(source).resolve()


def _files(path: Path) -> list[Path]:
    """A recording is all of its parts."""
    return [path, *(part for part in parts(path) if part != path)] if path.suffix.lower() == ".mcap" else [path]


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
