"""A disk that is full is said with the file that had no room on it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poselift.app.config import Config, save
from poselift.app.dataflow.session import FILE, join
from poselift.app.export.video import render
from poselift.app.processes.process import lock
from poselift.common.atomic import at_once, replacing


def replace_it(path: Path) -> None:
    with replacing(path) as part:
        part.write_bytes(b"x" * 100)


def archive_it(path: Path) -> None:
    with at_once(path) as file:
        file.write(b"x" * 100)


def draw_it(path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    render([(picture, None, number * 10**7) for number in range(9)], path, 30.0)


WRITERS: dict[str, Callable[[Path], object]] = {
    "file": replace_it,
    "archive.npz": archive_it,
    "video.mp4": draw_it,
    "config.yaml": lambda path: save(Config(), path),
    FILE: lambda path: join(path.parent),
    "lift.lock": lambda path: lock(path.parent, "lift"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_who_has_no_room_names_the_file(full_disk: Path, name: str) -> None:
    fill(full_disk)
    with pytest.raises(OSError) as error:
        WRITERS[name](full_disk / name)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(full_disk / name))


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
