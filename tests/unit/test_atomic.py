"""Files that are there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.atomic import at_once, replacing


def test_what_ends_well_takes_the_name_and_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for content in (b"first", b"second"):
        with replacing(path) as part:
            part.write_bytes(content)
        assert path.read_bytes() == content
    with at_once(path) as file:
        file.write(b"third")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"third"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="midway"), replacing(path) as part:
        part.write_bytes(b"half")
        raise ValueError("midway")
    with pytest.raises(ValueError, match="midway"), at_once(path) as file:
        file.write(b"half")
        raise ValueError("midway")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(OSError, match="folder"), at_once(tmp_path / "folder" / "file") as file:
        file.write(b"all")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
