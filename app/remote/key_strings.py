"""A key as text that people copy from one machine to another: `viewer:NAME:KEY` or `board:NAME:KEY`, safe in any shell.

KEY is base32 of the 32 bytes of a CurveZMQ public key and of a checksum of 3 bytes, so that a key that was not copied whole is noticed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from enum import Enum

from poselift.app.remote.key_files import OWN
from poselift.common.errors import UserError

KEY_BYTES, CHECKSUM_BYTES = 32, 3
MAX_NAME = 63

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_NAME - 1}}}")
_FORM = "viewer:NAME:KEY or board:NAME:KEY, as `poselift keys show` prints it there"


class Role(Enum):
    """What the other machine is for this one."""

    VIEWER = "viewer"
    """It looks at what this machine serves."""
    BOARD = "board"
    """It serves what this machine looks at."""


def key_text(public: bytes) -> str:
    """A key as people see it: 56 letters and digits."""
    return base64.b32encode(public + _checksum(public)).decode().lower()


def key_string(role: Role, name: str, public: bytes) -> str:
    """The text for the other machine's `poselift keys admit`."""
    return f"{role.value}:{name}:{key_text(public)}"


def parse_key_string(text: str) -> tuple[Role, str, bytes]:
    """Role, name and key of a key string. Raises UserError."""
    kind, name, public = parse_entry(text.strip().strip("'\""))
    if kind not in ("viewer", "board"):
        raise UserError(f"this is a {kind} key of {OWN}, which stays where it is; admit takes {_FORM}")
    return Role(kind), name, public


def good_name(name: str) -> str:
    """`name`, if it is allowed as the name of a machine. Raises UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name[:80]!r} cannot be a name: 1 to {MAX_NAME} letters, digits and . _ : - are, the first a letter or digit")
    return name


def host_name() -> str:
    """This machine's host name, without characters that are not allowed."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:MAX_NAME].lstrip("._-")
    return name or "unnamed"


def parse_entry(text: str) -> tuple[str, str, bytes]:
    """Kind, name and key of a key string, or of a line of own.key, where kinds are 'public' and 'private'. Raises UserError."""
    kind, _, rest = text.partition(":")
    name, _, key = rest.rpartition(":")
    if kind not in ("viewer", "board", "public", "private") or not name:
        raise UserError(f"{text[:80]!r} is no key; it looks like {_FORM}")
    try:
        data = base64.b32decode(key.upper())
    except ValueError:
        data = b""
    if len(data) != KEY_BYTES + CHECKSUM_BYTES or _checksum(data[:KEY_BYTES]) != data[KEY_BYTES:]:
        raise UserError(f"the key of {name[:80]!r} was not copied whole; it looks like {_FORM}")
    return kind, good_name(name), data[:KEY_BYTES]


def _checksum(key: bytes) -> bytes:
    return hashlib.sha256(b"poselift" + key).digest()[:CHECKSUM_BYTES]
