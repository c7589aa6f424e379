"""Keys are exchanged by the commands that the commands print, and a mistake is one line that says what to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from pipeline_run import poselift, write_config

from poselift.app.remote import keys
from poselift.app.remote.key_strings import Role, key_string, key_text
from poselift.app.remote.keys import Permission


def machine(folder: Path) -> Any:
    """A function that runs `poselift keys ...` on a machine whose keys lie in a folder."""
    folder.mkdir()
    config = write_config(folder / "config.yaml", {"serve": {"keys_folder": str(folder / "keys")}})
    return lambda *arguments: poselift("keys", *arguments, "--config", config)


def printed(text: str, role: str) -> list[str]:
    """The arguments of the command that is printed for a role."""
    (line,) = re.findall(rf"^  poselift keys (admit {role}:.*)$", text, re.MULTILINE)
    return shlex.split(line)


def test_two_machines_know_each_other_after_one_line_each_way(tmp_path: Path) -> None:
    laptop, board = machine(tmp_path / "laptop"), machine(tmp_path / "board")
    here, there = laptop("new", "--name", "laptop"), board("new", "--name", "atlas")
    assert not laptop("show").returncode and "nobody is admitted here" in laptop("show").stdout
    assert board(*printed(here.stdout, "viewer"), "--control").returncode == 0
    assert laptop(*printed(there.stdout, "board"), "--name", "192.168.1.7").returncode == 0
    (viewer,), (known,) = keys.admitted(tmp_path / "board" / "keys"), keys.admitted(tmp_path / "laptop" / "keys")
    assert (viewer.role, viewer.name, viewer.permission) == (Role.VIEWER, "laptop", Permission.CONTROL)
    assert (known.role, known.name) == (Role.BOARD, "192.168.1.7")
    assert keys.client_keys(tmp_path / "laptop" / "keys", "192.168.1.7").board == keys.own_pair(tmp_path / "board" / "keys").public
    shown = board("show").stdout
    assert "look and control" in shown and printed(shown, "board") == printed(there.stdout, "board")
    assert "revoked the viewer laptop" in board("revoke", "laptop").stdout and not keys.admitted(tmp_path / "board" / "keys")
    secret = key_text(keys.own_pair(tmp_path / "board" / "keys").secret)
    assert secret not in shown + there.stdout + there.stderr


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    board = machine(tmp_path / "board")
    for arguments, words in (
        (["show"], "type: poselift keys new"),
        (["new", "--name", "a b"], "cannot be a name"),
        (["admit", "viewer:laptop"], "looks like viewer:NAME:KEY"),
        (["admit", key_string(Role.BOARD, "atlas", bytes(32)), "--control"], "--control is for a viewer"),
        (["revoke", "laptop"], "nothing was revoked"),
    ):
        done = board(*arguments)
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 2 and len(lines) == 1 and words in lines[0], (arguments, done.stderr)
