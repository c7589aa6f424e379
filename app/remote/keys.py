"""Who may look from elsewhere: this machine's key pair, and the public keys of others that it admits. Files alone, no socket.

A key travels between people as one word, `viewer:NAME:KEY` or `board:NAME:KEY`, which no shell changes: KEY is base32 of the 32 bytes of a
CurveZMQ public key and of a check of 3 bytes, so that a word that was not copied whole is found out. A machine has one pair for both roles.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Optional

import platformdirs

from app.atomic import replacing
from app.errors import UserError

OWN, ADMITTED = "own.key", "admitted"
"""The two files in the folder of keys."""
KEY_BYTES, CHECK_BYTES = 32, 3
MAX_FILE_BYTES = 1 << 20
MAX_NAME = 63

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_NAME - 1}}}")
_LIKE = "viewer:NAME:KEY or board:NAME:KEY, as `poselift keys show` prints it there"


class Role(Enum):
    """What the other machine is to this one."""

    VIEWER = "viewer"
    """It looks at what this machine serves."""
    BOARD = "board"
    """This machine looks at what it serves."""


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


def key_text(public: bytes) -> str:
    """A key as people see it: 56 letters and digits."""
    return base64.b32encode(public + _check(public)).decode().lower()


def word(role: Role, name: str, public: bytes) -> str:
    """What is given to the other machine's `poselift keys admit`."""
    return f"{role.value}:{name}:{key_text(public)}"


def parse_word(text: str) -> tuple[Role, str, bytes]:
    """Role, name and key of a word. Raises UserError."""
    kind, name, public = _parse(text.strip().strip("'\""))
    if kind not in ("viewer", "board"):
        raise UserError(f"this is a {kind} key of {OWN}, which stays where it is; admit takes {_LIKE}")
    return Role(kind), name, public


def good_name(name: str) -> str:
    """`name`, if a machine may be called so. Raises UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name[:80]!r} cannot be a name: 1 to {MAX_NAME} letters, digits and . _ : - are, the first a letter or digit")
    return name


def host_name() -> str:
    """This machine's name, as far as it can be one here."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:MAX_NAME].lstrip("._-")
    return name or "unnamed"


def make(folder: Path, pair: Pair) -> None:
    """Keep a new pair. Raises UserError where there is one already."""
    good_name(pair.name)
    with _held(folder):
        if os.path.lexists(folder / OWN):
            raise UserError(f"{folder / OWN}: this machine has a key pair already; type: poselift keys show")
        lines = (f"{kind}:{pair.name}:{key_text(key)}" for kind, key in (("public", pair.public), ("private", pair.secret)))
        _write(folder / OWN, ("# poselift: whoever can read this file can take this machine's place. Never copy it.", *lines))


def own(folder: Path) -> Pair:
    """This machine's pair. Raises UserError where there is none, and where its file is damaged or others could read it."""
    path = folder / OWN
    text = _read(path)
    if text is None:
        raise UserError(f"{path}: this machine has no key pair yet; type: poselift keys new")
    found: dict[str, tuple[str, bytes]] = {}
    for line in _lines(text):
        try:
            kind, *rest = _parse(line)
        except UserError:
            continue  # whose message would show the private key
        found[str(kind)] = (str(rest[0]), bytes(rest[1]))  # type: ignore[arg-type]
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
    for number, line in enumerate((_read(path) or "").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                entries.append(_entry(line))
            except (UserError, ValueError) as error:
                problems.append(f"{path}, line {number}: this line is damaged ({error}); mend or remove it")
    return tuple(entries), tuple(problems)


def admit(folder: Path, role: Role, name: str, public: bytes, right: Right) -> Admitted:
    """Trust a key from now on; one that is known gets this name and right. Raises UserError where another key has the name."""
    new = Admitted(role, good_name(name), public, right, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    with _held(folder):
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
    with _held(folder):
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
    names = {host.strip("[]").lower(), host.partition(".")[0].lower()}
    named = [entry for entry in boards if entry.name.lower() in names]
    if len(named or boards) > 1:
        raise UserError(
            f"{host}: which board is that? Admitted are {', '.join(entry.name for entry in boards)}; "
            f"type here: poselift keys admit board:NAME:KEY --name {host}"
        )
    return Trust(pair, (named or boards)[0].public)


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


def _check(key: bytes) -> bytes:
    return hashlib.sha256(b"poselift" + key).digest()[:CHECK_BYTES]


def _parse(text: str) -> tuple[str, str, bytes]:
    kind, _, rest = text.partition(":")
    name, _, key = rest.rpartition(":")
    if kind not in ("viewer", "board", "public", "private") or not name:
        raise UserError(f"{text[:80]!r} is no key; it looks like {_LIKE}")
    try:
        data = base64.b32decode(key.upper())
    except ValueError:
        data = b""
    if len(data) != KEY_BYTES + CHECK_BYTES or _check(data[:KEY_BYTES]) != data[KEY_BYTES:]:
        raise UserError(f"the key of {name[:80]!r} was not copied whole; it looks like {_LIKE}")
    return kind, good_name(name), data[:KEY_BYTES]


def _entry(line: str) -> Admitted:
    text, right, since = line.split()
    role, name, public = parse_word(text)
    return Admitted(role, name, public, Right(right), datetime.fromisoformat(since).isoformat())


def _write_admitted(folder: Path, entries: list[Admitted]) -> None:
    head = "# poselift: whom this machine trusts; `poselift keys admit` and `poselift keys revoke` change it."
    _write(folder / ADMITTED, (head, *(f"{word(*entry[:3])} {entry.right.value} {entry.since}" for entry in entries)))


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _write(path: Path, lines: tuple[str, ...]) -> None:
    with replacing(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(descriptor)  # a board loses its power at any time


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder of keys, made where it is missing, and nobody else changes it meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _refuse_others(folder, folder.stat(), "700")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> Optional[str]:
    """A file of keys, None where there is none. Raises UserError where it is not its owner's alone."""
    try:
        _refuse_others(path.parent, path.parent.stat(), "700")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a link; keys are kept in the file itself" if error.errno == errno.ELOOP else error.strerror
        raise UserError(f"{path}: this file of keys cannot be read ({why})") from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path}: this should be a file of keys, and is none; remove it")
        _refuse_others(path, state, "600")
        return os.read(descriptor, MAX_FILE_BYTES).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)


def _refuse_others(path: Path, state: os.stat_result, mode: str) -> None:
    if state.st_uid != os.getuid():
        raise UserError(f"{path}: this belongs to {_user(state.st_uid)}, not to you; type the same command as that user")
    if state.st_mode & 0o077:
        found = f"{stat.S_IMODE(state.st_mode):o}"
        raise UserError(f"{path}: others than you can get at these keys (mode {found}); type: chmod {mode} {shlex.quote(str(path))}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
