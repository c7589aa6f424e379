"""The identity of a run: the same for all that take part in it, another one for the next."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from poselift.app.dataflow.session import BOOT_ID, FILE, Session, join

ROOT = Path(__file__).parents[2]
MEMBER = """
import sys
from pathlib import Path
from poselift.app.dataflow.session import join
print(join(Path(sys.argv[1])), flush=True)
input()
"""


@contextmanager
def members(folder: Path, count: int = 1) -> Iterator[list[str]]:
    """So many processes that have joined at once and belong to the session until the end of the block: what each was told."""
    with ExitStack() as stack:
        command = [sys.executable, "-c", MEMBER, str(folder)]
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT))
            for _ in range(count)
        ]
        try:
            yield [process.stdout.readline() for process in started if process.stdout]
        finally:
            for process in started:
                process.kill()


def test_all_who_come_at_once_are_of_one_session(tmp_path: Path) -> None:
    for _ in range(3):
        with members(tmp_path / "run", 8) as told:
            assert len(set(told)) == 1 and told[0].startswith("Session(start_ns=")


def test_who_was_killed_finds_it_again_while_another_is_there(tmp_path: Path) -> None:
    with members(tmp_path) as first:
        with members(tmp_path) as killed:
            assert killed == first
        with members(tmp_path) as back:
            assert back == first


def test_when_all_have_left_the_next_one_begins_another(tmp_path: Path) -> None:
    with members(tmp_path) as first:
        pass
    with members(tmp_path) as second:
        assert second != first
    with members(tmp_path / "another") as elsewhere:
        assert elsewhere not in (first, second)


def test_it_names_the_boot_and_the_machine_and_asking_again_changes_nothing(tmp_path: Path) -> None:
    session = join(tmp_path)
    assert session.boot_id == BOOT_ID.read_text().strip() and session.start_ns > 1_600_000_000 * 10**9
    assert join(tmp_path) == session


@pytest.mark.parametrize("content", ["", "]", "- 1", "session_start_ns: x\nsession_boot_id: y\nsession_host: z", "\udcff" * 9000])
def test_a_file_that_tells_nothing_is_no_session(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_bytes(content.encode(errors="surrogateescape"))
    session = join(tmp_path)
    assert join(tmp_path) == session


def test_as_text_and_back() -> None:
    session = Session(12, "boot", "atlas")
    assert session.facts() == {"session_start_ns": "12", "session_boot_id": "boot", "session_host": "atlas"}
    assert Session.of({"other": "facts", **session.facts()}) == session
    assert Session.of({}) is None and Session.of({**session.facts(), "session_start_ns": "noon"}) is None
