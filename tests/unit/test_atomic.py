"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poselift.common.atomic import PREFIX, at_once, remove_left, replacing, scratch

HANGS = """
import os, sys
from pathlib import Path
from poselift.common.atomic import replacing, scratch
if sys.argv[1] == "named":
    os.O_TMPFILE = os.O_DIRECTORY  # as a kernel or a filesystem without unnamed files: EISDIR
work = scratch(Path(sys.argv[2])) if sys.argv[1] == "folder" else replacing(Path(sys.argv[2]) / "file")
with work as part:
    (part / "file" if sys.argv[1] == "folder" else part).write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["unnamed", "named"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With files without a name, and as on a filesystem that has none."""
    if request.param == "named":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    return str(request.param)


@pytest.fixture
def hanging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in the middle of writing."""
    command = [sys.executable, "-c", HANGS, request.param, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        yield process
        process.kill()


def test_what_ends_well_takes_the_name_and_the_place_of_what_was_there(tmp_path: Path, either_way: str) -> None:
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


def test_a_name_may_be_as_long_as_the_filesystem_allows(tmp_path: Path, either_way: str) -> None:
    with at_once(tmp_path / ("n" * 255)) as file:
        file.write(b"all")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"all"


def test_who_may_read_it_is_said_from_the_start(tmp_path: Path, either_way: str) -> None:
    before = os.umask(0o022)
    try:
        for mode, expected in ((0o666, 0o644), (0o600, 0o600)):
            with replacing(tmp_path / "file", mode) as part:
                assert stat.S_IMODE(part.stat().st_mode) == expected
            assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected
    finally:
        os.umask(before)


def test_what_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path, either_way: str) -> None:
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
    with pytest.raises(OSError), at_once(tmp_path):  # it is a folder
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_people_know(tmp_path: Path, either_way: str) -> None:
    with pytest.raises(OSError, match="result") as caught, replacing(tmp_path / "result") as part:
        raise OSError(28, "No space left on device", str(part))
    assert caught.value.filename == str(tmp_path / "result")


def test_a_folder_that_cannot_be_made_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(OSError, match="folder"), at_once(tmp_path / "folder" / "file") as file:
        file.write(b"all")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_goes_meanwhile_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch(tmp_path / "missing"):
        pass


@pytest.mark.parametrize("hanging", ["unnamed"], indirect=True)
def test_a_process_that_is_killed_leaves_nothing(tmp_path: Path, hanging: subprocess.Popen[bytes]) -> None:
    hanging.send_signal(signal.SIGKILL)
    hanging.wait()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hanging", ["named", "folder"], indirect=True)
def test_what_a_killed_process_left_goes_with_the_next_who_writes_there(tmp_path: Path, hanging: subprocess.Popen[bytes]) -> None:
    (part,) = tmp_path.iterdir()
    remove_left(tmp_path)
    assert part.exists() and part.name.startswith(PREFIX), "another process's work was taken away from it"
    hanging.send_signal(signal.SIGKILL)
    hanging.wait()
    with at_once(tmp_path / "other") as file:
        file.write(b"all")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_scratch_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        (folder / "file").write_bytes(b"")
        with scratch(tmp_path) as other:
            assert {folder, other} == set(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
