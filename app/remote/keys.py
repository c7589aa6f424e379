"""Who may look from elsewhere: this machine's key pair, and the public keys of others that it admits. Files alone, no socket.

A machine has one pair for both roles. `key_words.py` is how people pass a key on, `key_files.py` how it is kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Optional

import platformdirs

from poselift.app.remote.key_files import ADMITTED, OWN, held, read, write
from poselift.app.remote.key_words import Role, good_name, key_text, parse, parse_word, word
from poselift.common.errors import UserError


class Right(Enum):
    """What a viewer may do."""

    LOOK = "look"
    CONTROL = "control"
    """Look, and give orders."""


class Pair(NamedTuple):
    """A machine's own keys, 32 bytes each, and the name by which others may know it."""

    name: str
    public: bytes
    secret: bytes


class Admitted(NamedTuple):
    """Another machine that this one trusts."""

    role: Role
    name: str
    public: bytes
    right: Right
    """LOOK where it is a board."""
    since: str
    """ISO 8601, UTC."""


class Trust(NamedTuple):
    """What a viewer needs for one board."""

    own: Pair
    board: bytes
    """The board's public key, 32 bytes."""


def folder_of(keys_folder: Optional[str]) -> Path:
    """The folder of keys: the one in the config (`serve.keys_folder`), or the user's."""
    return Path(keys_folder) if keys_folder else platformdirs.user_config_path("poselift") / "keys"


def folder_for(loopback: bool, keys_folder: Optional[str]) -> Optional[Path]:
    """The folder of keys where this address needs any: everywhere but on loopback, and there too where the config names the folder."""
    return folder_of(keys_folder) if keys_folder or not loopback else None


def make(folder: Path, pair: Pair) -> None:
    """Keep a new pair. Raises UserError where there is one already."""
    good_name(pair.name)
    with held(folder):
        if os.path.lexists(folder / OWN):
            raise UserError(f"{folder / OWN}: this machine has a key pair already; type: poselift keys show")
        lines = (f"{kind}:{pair.name}:{key_text(key)}" for kind, key in (("public", pair.public), ("private", pair.secret)))
        write(folder / OWN, ("# poselift: whoever can read this file can take this machine's place. Never copy it.", *lines))


def own(folder: Path) -> Pair:
    """This machine's pair. Raises UserError where there is none, and where its file is damaged or others could read it."""
    path = folder / OWN
    text = read(path)
    if text is None:
        raise UserError(f"{path}: this machine has no key pair yet; type: poselift keys new")
    found: dict[str, tuple[str, bytes]] = {}
    for line in text.splitlines():
        with suppress(UserError):  # whose message would show the private key; a comment is none either
            kind, name, key = parse(line.strip())
            found[kind] = name, key
    if found.keys() != {"public", "private"} or found["public"][0] != found["private"][0]:
        raise UserError(f"{path}: this key pair is damaged; remove the file and type: poselift keys new (and admit the new key everywhere)")
    return Pair(found["public"][0], found["public"][1], found["private"][1])


def admitted(folder: Path) -> tuple[Admitted, ...]:
    """Whom this machine trusts. Raises UserError where its list is damaged or could be changed by others."""
    entries, problems = read_admitted(folder)
    if problems:
        raise UserError(problems[0])
    return entries


def read_admitted(folder: Path) -> tuple[tuple[Admitted, ...], tuple[str, ...]]:
    """Whom this machine trusts, and what is wrong with lines that are left out. Raises UserError where the list cannot be used at all."""
    path = folder / ADMITTED
    entries, problems = [], []
    for number, line in enumerate((read(path) or "").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                entries.append(_entry(line))
            except (UserError, ValueError) as error:
                problems.append(f"{path}, line {number}: this line is damaged ({error}); mend or remove it")
    return tuple(entries), tuple(problems)


def admit(folder: Path, role: Role, name: str, public: bytes, right: Right) -> Admitted:
    """Trust a key from now on; one that is known gets this name and right.

    Raises UserError where another key has the name, and for this machine's own key, which needs nobody's leave.
    """
    if os.path.lexists(folder / OWN) and own(folder).public == public:
        raise UserError(
            f"{key_text(public)[:8]}... is the key of this machine itself, which is let in anyhow; type that on the other machine"
        )
    new = Admitted(role, good_name(name), public, right, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    with held(folder):
        others = [entry for entry in admitted(folder) if (entry.role, entry.public) != (role, public)]
        if any((entry.role, entry.name) == (role, name) for entry in others):
            raise UserError(
                f"another {role.value} is admitted as {name}; type: poselift keys revoke {name}, or admit this one with --name OTHER"
            )
        _write_admitted(folder, [*others, new])
    return new


def revoke(folder: Path, who: str) -> tuple[Admitted, ...]:
    """Trust no longer who has this name, key or word; returns them. Raises UserError where nobody has."""
    who = who.strip().strip("'\"")
    with held(folder):
        entries = admitted(folder)
        gone = tuple(entry for entry in entries if who in (entry.name, key_text(entry.public), word(entry.role, entry.name, entry.public)))
        if not gone:
            known = ", ".join(entry.name for entry in entries) or "nobody"
            raise UserError(f"{who[:120]!r} is not admitted here, so nothing was revoked; admitted: {known}")
        _write_admitted(folder, [entry for entry in entries if entry not in gone])
    return gone


def trust(folder: Path, host: str) -> Trust:
    """The keys for a viewer that connects to `host`: the board admitted by that name, or the only one. Raises UserError."""
    pair = own(folder)
    boards = [entry for entry in admitted(folder) if entry.role is Role.BOARD]
    if not boards:
        raise UserError(
            f"{host}: no board is admitted here; on the board type: poselift keys show, and here the `keys admit board:...` that it prints"
        )
    fitting = _fitting(boards, host)
    if len(fitting) > 1:
        raise UserError(
            f"{host}: which board is that? Admitted are {', '.join(entry.name for entry in boards)}; "
            f"type here: poselift keys admit board:NAME:KEY --name {host}"
        )
    return Trust(pair, fitting[0].public)


def all_trust(folder: Path, host: str) -> tuple[Trust, ...]:
    """All keys that may fit what is at `host`: the boards admitted by that name, or all, and this machine itself. None without a pair."""
    if not os.path.lexists(folder / OWN):
        return ()
    pair = own(folder)
    boards = _fitting([entry for entry in admitted(folder) if entry.role is Role.BOARD], host)
    return (*(Trust(pair, board.public) for board in boards), trust_here(folder))


def _fitting(boards: list[Admitted], host: str) -> list[Admitted]:
    """The boards that are admitted by the name of a host; all where none is."""
    names = {host.strip("[]").lower(), host.partition(".")[0].lower()}
    return [entry for entry in boards if entry.name.lower() in names] or boards


def trust_here(folder: Path) -> Trust:
    """The keys for a viewer on the board itself, which is let in as the board: both sides have its pair. Raises UserError."""
    pair = own(folder)
    return Trust(pair, pair.public)


def signature(folder: Path) -> Optional[tuple[int, ...]]:
    """Changes whenever the list of whom this machine trusts does; None where there is none. Cheap."""
    try:
        state = (folder / ADMITTED).lstat()
    except OSError:
        return None
    return (state.st_ino, state.st_ctime_ns, state.st_mtime_ns, state.st_size)


def _entry(line: str) -> Admitted:
    text, right, since = line.split()
    role, name, public = parse_word(text)
    return Admitted(role, name, public, Right(right), datetime.fromisoformat(since).isoformat())


def _write_admitted(folder: Path, entries: list[Admitted]) -> None:
    head = "# poselift: whom this machine trusts; `poselift keys admit` and `poselift keys revoke` change it."
    write(folder / ADMITTED, (head, *(f"{word(*entry[:3])} {entry.right.value} {entry.since}" for entry in entries)))
