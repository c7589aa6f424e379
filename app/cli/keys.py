"""`poselift keys`: this machine's key pair, and whom it admits."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from rich.table import Table

from poselift.app.cli.console import console
from poselift.app.config import load
from poselift.app.remote import keys
from poselift.app.remote.authenticator import new_pair
from poselift.app.remote.key_strings import Role, host_name, key_string, key_text, parse_key_string
from poselift.app.remote.keys import Admitted, KeyPair, Permission
from poselift.common.errors import UserError


def new(name: Optional[str], config_path: Optional[Path]) -> None:
    """Make this machine's pair, and print what to type elsewhere."""
    folder = _folder(config_path)
    pair = new_pair(host_name() if name is None else name)
    keys.save_pair(folder, pair)
    print(f"made the key pair of {pair.name} in {folder}")
    _say_what_to_type(pair)


def show(config_path: Optional[Path]) -> None:
    """Print what to type elsewhere, and who is admitted here."""
    folder = _folder(config_path)
    _say_what_to_type(keys.own_pair(folder))
    print()
    _say_whom(keys.admitted(folder))


def admit(text: str, control: bool, name: Optional[str], config_path: Optional[Path]) -> None:
    """Admit the key in a key string from another machine."""
    role, given, public = parse_key_string(text)
    if control and role is Role.BOARD:
        raise UserError("--control is for a viewer, and this is a board; leave it out")
    entry = keys.admit(
        _folder(config_path), role, given if name is None else name, public, Permission.CONTROL if control else Permission.LOOK
    )
    print(f"admitted {_whom(entry)}; it may {_may(entry)}")


def revoke(who: str, config_path: Optional[Path]) -> None:
    """Admit a key no longer."""
    for entry in keys.revoke(_folder(config_path), who):
        print(f"revoked {_whom(entry)}")


def _folder(config_path: Optional[Path]) -> Path:
    return keys.folder_of(load(config_path).serve.keys_folder)


def _say_what_to_type(pair: KeyPair) -> None:
    print(f"For {pair.name} to look at a board, type on the board (with --control: to record there, too):")
    print(f"  poselift keys admit {key_string(Role.VIEWER, pair.name, pair.public)}")
    print(f"To look at what {pair.name} serves, type on the machine that looks:")
    print(f"  poselift keys admit {key_string(Role.BOARD, pair.name, pair.public)}")


def _say_whom(entries: tuple[Admitted, ...]) -> None:
    if not entries:
        print("nobody is admitted here")
        return
    table = Table("admitted", "name", "may", "since", "key")
    for entry in entries:
        table.add_row(entry.role.value, entry.name, _may(entry), entry.since, f"{key_text(entry.public)[:8]}...")
    console.print(table)


def _whom(entry: Admitted) -> str:
    return f"the {entry.role.value} {entry.name}, key {key_text(entry.public)[:8]}..."


def _may(entry: Admitted) -> str:
    if entry.role is Role.BOARD:
        return "be looked at"
    return "look and control" if entry.permission is Permission.CONTROL else "look"
