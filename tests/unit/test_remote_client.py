"""Which keys a viewer tries, in which order, and what it says when none fits: without a socket."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from poselift.app.remote import client
from poselift.app.remote.address import Address
from poselift.app.remote.client import Client
from poselift.app.remote.client_protocol import HandshakeFailure
from poselift.app.remote.keys import ClientKeys, KeyPair

A, B = (ClientKeys(KeyPair("laptop", b"p" * 32, b"s" * 32), name * 32) for name in (b"a", b"b"))


class FakeSocket:
    """A socket that fails as the test says, with each of the keys."""

    fails: dict[Optional[ClientKeys], set[HandshakeFailure]]

    def __init__(self, address: Address, keys: Optional[ClientKeys]) -> None:
        self.tried: list[Optional[ClientKeys]] = [keys]

    def reopen(self, keys: Optional[ClientKeys]) -> None:
        self.tried.append(keys)

    def failures(self) -> set[HandshakeFailure]:
        return self.fails.get(self.tried[-1], set())

    def ready(self) -> bool:
        return False

    def receive(self, timeout_s: float) -> list[bytes]:
        return []


def tried(
    monkeypatch: pytest.MonkeyPatch, candidates: tuple[Optional[ClientKeys], ...], fails: dict[Any, set[HandshakeFailure]]
) -> tuple[list[Any], Any]:
    """What was tried in five looks, and the state of the connection then."""
    monkeypatch.setattr(FakeSocket, "fails", fails, raising=False)
    monkeypatch.setattr(client, "ClientSocket", FakeSocket)
    tested = Client(Address("127.0.0.1", 5570), candidates)
    for _ in range(5):
        tested._send()
    return tested._socket.tried, tested.state  # type: ignore[attr-defined]


def test_the_way_that_does_not_fail_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, state = tried(monkeypatch, (A, B, None), {A: {HandshakeFailure.OTHER}, None: {HandshakeFailure.ONE_SIDE_HAS_KEYS}})
    assert attempts == [A, B] and not state.refused


def test_without_keys_is_the_last_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, _ = tried(
        monkeypatch,
        (A, B, None),
        {A: {HandshakeFailure.ONE_SIDE_HAS_KEYS}, B: {HandshakeFailure.ONE_SIDE_HAS_KEYS, HandshakeFailure.OTHER}},
    )
    assert attempts == [A, B, None]


def test_when_all_have_failed_it_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, state = tried(
        monkeypatch, (A, None), {A: {HandshakeFailure.OTHER}, None: {HandshakeFailure.ONE_SIDE_HAS_KEYS, HandshakeFailure.OTHER}}
    )
    assert attempts == [A, None, A, None, A, None] and state.refused
    assert "127.0.0.1:5570 uses keys" in state.why and "poselift keys new" in state.why


def test_while_all_are_tried_again_it_is_said_why_they_have_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that uses keys may hang up before we hear so: then each attempt fails like one at what is no poselift."""
    attempts, state = tried(monkeypatch, (A, None), {A: {HandshakeFailure.OTHER}, None: {HandshakeFailure.OTHER}})
    assert attempts == [A, None, A, None, A, None]
    assert "uses keys that this machine has not" in state.why and not state.refused


def test_a_board_that_refuses_our_key_is_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, state = tried(
        monkeypatch, (A, B, None), {A: {HandshakeFailure.OTHER}, B: {HandshakeFailure.NOT_ADMITTED, HandshakeFailure.OTHER}}
    )
    assert attempts == [A, B] and state.refused and "does not admit this machine's key" in state.why


@pytest.mark.parametrize(
    ("way", "says"), [(A, "has another key than the one admitted here, or none"), (None, "uses keys that this machine has not")]
)
def test_one_way_is_not_opened_again_for_every_failure(monkeypatch: pytest.MonkeyPatch, way: Optional[ClientKeys], says: str) -> None:
    attempts, state = tried(monkeypatch, (way,), {way: {HandshakeFailure.OTHER}})
    assert attempts == [way] and not state.refused and says in state.why
