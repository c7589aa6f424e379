"""Which keys a viewer tries, in which order, and what it says when none fits: without a socket."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from poselift.app.remote import client
from poselift.app.remote.address import Address
from poselift.app.remote.client import Remote
from poselift.app.remote.keys import Pair, Trust
from poselift.app.remote.viewer import Failure

A, B = (Trust(Pair("laptop", b"p" * 32, b"s" * 32), name * 32) for name in (b"a", b"b"))


class Line:
    """A socket that fails as the test says, each way in its own manner."""

    fails: dict[Optional[Trust], set[Failure]]

    def __init__(self, address: Address, keys: Optional[Trust]) -> None:
        self.tried: list[Optional[Trust]] = [keys]

    def reopen(self, keys: Optional[Trust]) -> None:
        self.tried.append(keys)

    def failures(self) -> set[Failure]:
        return self.fails.get(self.tried[-1], set())

    def ready(self) -> bool:
        return False

    def receive(self, timeout_s: float) -> list[bytes]:
        return []


def tried(monkeypatch: pytest.MonkeyPatch, ways: tuple[Optional[Trust], ...], fails: dict[Any, set[Failure]]) -> tuple[list[Any], Any]:
    """What was tried in five looks, and how the link is then."""
    monkeypatch.setattr(Line, "fails", fails, raising=False)
    monkeypatch.setattr(client, "Line", Line)
    remote = Remote(Address("127.0.0.1", 5570), ways)
    for _ in range(5):
        remote._say()
    return remote._line.tried, remote.link  # type: ignore[attr-defined]


def test_the_way_that_does_not_fail_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, link = tried(monkeypatch, (A, B, None), {A: {Failure.TALK}, None: {Failure.KEYS}})
    assert attempts == [A, B] and not link.refused


def test_without_keys_is_the_last_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, _ = tried(monkeypatch, (A, B, None), {A: {Failure.KEYS}, B: {Failure.KEYS, Failure.TALK}})
    assert attempts == [A, B, None]


def test_when_all_have_failed_it_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, link = tried(monkeypatch, (A, None), {A: {Failure.TALK}, None: {Failure.KEYS, Failure.TALK}})
    assert attempts == [A, None, A, None, A, None] and link.refused
    assert "127.0.0.1:5570 uses keys" in link.why and "poselift keys new" in link.why


def test_a_board_that_refuses_our_key_is_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, link = tried(monkeypatch, (A, B, None), {A: {Failure.TALK}, B: {Failure.KEY, Failure.TALK}})
    assert attempts == [A, B] and link.refused and "does not admit this machine's key" in link.why


@pytest.mark.parametrize(
    ("way", "says"), [(A, "has another key than the one admitted here, or none"), (None, "uses keys that this machine has not")]
)
def test_one_way_is_not_opened_again_for_every_failure(monkeypatch: pytest.MonkeyPatch, way: Optional[Trust], says: str) -> None:
    attempts, link = tried(monkeypatch, (way,), {way: {Failure.TALK}})
    assert attempts == [way] and not link.refused and says in link.why
