"""Who may look from elsewhere: this machine's key pair, and the public keys of other machines that it admits. Files only, no socket.

A machine has one pair for both roles. `key_strings.py` is how people pass keys on, `key_files.py` how they are stored.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Optional

import platformdirs

from poselift.app.remote.key_files import ADMITTED, OWN, locked, read, write
from poselift.app.remote.key_strings import Role, good_name, key_string, key_text, parse_entry, parse_key_string
from poselift.common.errors import UserError


class Permission(Enum):
    """What a viewer may do."""

    LOOK = "look"
    CONTROL = "control"
    """Look, and give orders."""


class KeyPair(NamedTuple):
    """A machine's own keys, 32 bytes each, and its name."""

    name: str
    public: bytes
    secret: bytes


class Admitted(NamedTuple):
    """Another machine whose key is admitted."""

    role: Role
    name: str
    public: bytes
    permission: Permission
    """LOOK if it is a board."""
    since: str
    """ISO 8601, UTC."""


class ClientKeys(NamedTuple):
    """The keys that a viewer needs to connect to a board."""

    own: KeyPair
    board: bytes
    """The board's public key, 32 bytes."""


def folder_of(keys_folder: Optional[str]) -> Path:
    """The folder of keys: that of the config (`serve.keys_folder`), or the user's."""
    return Path(keys_folder) if keys_folder else platformdirs.user_config_path("poselift") / "keys"


def folder_for(loopback: bool, keys_folder: Optional[str]) -> Optional[Path]:
    """The folder of keys for an address; None on loopback, unless the config names a folder."""
    return folder_of(keys_folder) if keys_folder or not loopback else None


def save_pair(folder: Path, pair: KeyPair) -> None:
    """Store a new pair. Raises UserError if there is one already."""
    good_name(pair.name)
    with locked(folder):
        if os.path.lexists(folder / OWN):
            raise UserError(f"{folder / OWN}: this machine has a key pair already; type: poselift keys show")
        lines = (f"{kind}:{pair.name}:{key_text(key)}" for kind, key in (("public", pair.public), ("private", pair.secret)))
        write(folder / OWN, ("# poselift: whoever can read this file can take this machine's place. Never copy it.", *lines))


def own_pair(folder: Path) -> KeyPair:
    """This machine's pair. Raises UserError if there is none, if its file is damaged, or if others can read it."""
    path = folder / OWN
    text = read(path)
    if text is None:
        raise UserError(f"{path}: this machine has no key pair yet; type: poselift keys new")
    found: dict[str, tuple[str, bytes]] = {}
    for line in text.splitlines():
        with suppress(UserError):  # its message would show the private key; comments are skipped too
            kind, name, key = parse_entry(line.strip())
            found[kind] = name, key
    if found.keys() != {"public", "private"} or found["public"][0] != found["private"][0]:
        raise UserError(f"{path}: this key pair is damaged; remove the file and type: poselift keys new (and admit the new key everywhere)")
    return KeyPair(found["public"][0], found["public"][1], found["private"][1])


def admitted(folder: Path) -> tuple[Admitted, ...]:
    """The admitted machines. Raises UserError if the list is damaged, or others can change it."""
    entries, problems = read_admitted(folder)
    if problems:
        raise UserError(problems[0])
    return entries


def read_admitted(folder: Path) -> tuple[tuple[Admitted, ...], tuple[str, ...]]:
    """The admitted machines, and the problems of lines that are left out. Raises UserError if the list cannot be used at all."""
    path = folder / ADMITTED
    entries, problems = [], []
    for number, line in enumerate((read(path) or "").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                entries.append(_entry(line))
            except (UserError, ValueError) as error:
                problems.append(f"{path}, line {number}: this line is damaged ({error}); mend or remove it")
    return tuple(entries), tuple(problems)


def admit(folder: Path, role: Role, name: str, public: bytes, permission: Permission) -> Admitted:
    """Admit a key. One that is admitted already gets this name and permission.

    Raises UserError if another key has the name, and for this machine's own key, which is always admitted.
    """
    if os.path.lexists(folder / OWN) and own_pair(folder).public == public:
        raise UserError(
            f"{key_text(public)[:8]}... is the key of this machine itself, which is let in anyhow; type that on the other machine"
        )
    new = Admitted(role, good_name(name), public, permission, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    with locked(folder):
        others = [entry for entry in admitted(folder) if (entry.role, entry.public) != (role, public)]
        if any((entry.role, entry.name) == (role, name) for entry in others):
            raise UserError(
                f"another {role.value} is admitted as {name}; type: poselift keys revoke {name}, or admit this one with --name OTHER"
            )
        _write_admitted(folder, [*others, new])
    return new


def revoke(folder: Path, who: str) -> tuple[Admitted, ...]:
    """Admit those no longer that have this name, key or key string; returns them. Raises UserError if there are none."""
    who = who.strip().strip("'\"")
    with locked(folder):
        entries = admitted(folder)
        gone = tuple(
            entry for entry in entries if who in (entry.name, key_text(entry.public), key_string(entry.role, entry.name, entry.public))
        )
        if not gone:
            known = ", ".join(entry.name for entry in entries) or "nobody"
            raise UserError(f"{who[:120]!r} is not admitted here, so nothing was revoked; admitted: {known}")
        _write_admitted(folder, [entry for entry in entries if entry not in gone])
    return gone


def client_keys(folder: Path, host: str) -> ClientKeys:
    """The keys to connect to `host`: those of the board that is admitted by this name, or of the only board. Raises UserError."""
    pair = own_pair(folder)
    boards = [entry for entry in admitted(folder) if entry.role is Role.BOARD]
    if not boards:
        raise UserError(
            f"{host}: no board is admitted here; on the board type: poselift keys show, and here the `keys admit board:...` that it prints"
        )
    matching = _matching(boards, host)
    if len(matching) > 1:
        raise UserError(
            f"{host}: which board is that? Admitted are {', '.join(entry.name for entry in boards)}; "
            f"type here: poselift keys admit board:NAME:KEY --name {host}"
        )
    return ClientKeys(pair, matching[0].public)


def all_client_keys(folder: Path, host: str) -> tuple[ClientKeys, ...]:
    """All keys that may fit `host`: of the boards admitted by this name, or of all, and of this machine. Empty without a pair."""
    if not os.path.lexists(folder / OWN):
        return ()
    pair = own_pair(folder)
    boards = _matching([entry for entry in admitted(folder) if entry.role is Role.BOARD], host)
    return (*(ClientKeys(pair, board.public) for board in boards), local_client_keys(folder))


def _matching(boards: list[Admitted], host: str) -> list[Admitted]:
    """The boards that are admitted by the name of a host; all of them if none is."""
    names = {host.strip("[]").lower(), host.partition(".")[0].lower()}
    return [entry for entry in boards if entry.name.lower() in names] or boards


def local_client_keys(folder: Path) -> ClientKeys:
    """The keys for a viewer on the board itself: both sides have the board's pair. Raises UserError."""
    pair = own_pair(folder)
    return ClientKeys(pair, pair.public)


def admitted_version(folder: Path) -> Optional[tuple[int, ...]]:
    """A value that changes with the list of admitted machines; None if there is none. Cheap: the list is not read."""
    try:
        state = (folder / ADMITTED).lstat()
    except OSError:
        return None
    return (state.st_ino, state.st_ctime_ns, state.st_mtime_ns, state.st_size)


def _entry(line: str) -> Admitted:
    text, permission, since = line.split()
    role, name, public = parse_key_string(text)
    return Admitted(role, name, public, Permission(permission), datetime.fromisoformat(since).isoformat())


def _write_admitted(folder: Path, entries: list[Admitted]) -> None:
    head = "# poselift: whom this machine trusts; `poselift keys admit` and `poselift keys revoke` change it."
    write(folder / ADMITTED, (head, *(f"{key_string(*entry[:3])} {entry.permission.value} {entry.since}" for entry in entries)))
