"""Sources and lines as people and logs may see them: without the user and the password of a camera's address."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"['\"]?\w+:/+")
_SECRET = re.compile(
    r"((?:^|[/?&;,])(?:user(?:name)?|usr|login|pass(?:word|wd)?|pwd|psw|token|auth|(?:api_?)?key|secret)=)[^/?&;,]*", re.IGNORECASE
)
_USER = re.compile(r"(\w+:/+)(?!/*\*\*\*@)(?:(?!\w+:/+).)*@")
"""Up to the last `@` before another address: a password may hold anything, spaces too. One that is hidden already ends where it does."""
_ADDRESS = re.compile(r"\w+:/+\S+")
_PATTERN = re.compile(r"test:[\dx]*@[\d.]*(,|$)")


def display_name(source: str) -> str:
    """`source` with `***` for what stands before its last `@`, and in an address for the value of what is named like a secret.

    Rather too much than too little: a password with an unescaped `/` or `@` goes whole, and so does one in an address with a typo.
    A source without either, such as a file or a camera's index, stays as it is.
    """
    scheme = _SCHEME.match(source)
    before, at, place = source.rpartition("@")
    if at and ":" in before and not _PATTERN.match(source):
        source = f"{scheme[0] if scheme else ''}***@{place}"
    return _SECRET.sub(r"\1***", source) if scheme else source


def printable(line: str) -> str:
    """`line`, whatever came into it, as one line for people: no secret of an address, no control characters.

    Names of files may hold any of them; what a terminal would obey, or break the line at, is written as Python writes it.
    """
    line = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)
    return _ADDRESS.sub(lambda address: display_name(address[0]), _USER.sub(r"\1***@", line))
