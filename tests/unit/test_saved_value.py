"""A value that a restarted worker finds again: of this session alone, and under the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from poselift.app.dataflow.saved_value import SavedValue
from poselift.app.dataflow.session import Session

MONDAY, TUESDAY = Session(1, "a boot", "board"), Session(2, "a boot", "board")


def test_what_was_written_is_read_by_the_next_worker_of_the_session(tmp_path: Path) -> None:
    saved = SavedValue(tmp_path, "recording", str, MONDAY, settings={"start": True})
    assert saved.read() is None
    saved.write("")
    assert saved.read() == ""
    saved.write("session-2")
    assert SavedValue(tmp_path, "recording", str, MONDAY, settings={"start": True}).read() == "session-2"
    assert SavedValue(tmp_path, "recording", str, TUESDAY, settings={"start": True}).read() is None
    assert SavedValue(tmp_path, "recording", str, MONDAY, settings={"start": False}).read() is None
    saved.forget()
    saved.forget()
    assert saved.read() is None


@pytest.mark.parametrize("text", ["", "]", "value: x", "value: 3", "- 3", "\x00"])
def test_a_file_that_is_damaged_holds_nothing(tmp_path: Path, text: str) -> None:
    saved = SavedValue(tmp_path, "next_person", int, MONDAY)
    saved.write(3)
    assert saved.read() == 3
    (tmp_path / "next_person.yaml").write_text(text)
    assert saved.read() is None
    assert SavedValue(tmp_path, "next_person", str, MONDAY).read() is None
