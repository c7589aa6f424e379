"""Where a board serves is written as people write it, and what is no address is told in one line."""

from __future__ import annotations

import pytest

from poselift.app.remote.address import Address, parse_address
from poselift.common.errors import UserError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("board", "board", 5570),
        ("board:1", "board", 1),
        ("192.168.1.20:65535", "192.168.1.20", 65535),
        ("0.0.0.0:5570", "0.0.0.0", 5570),
        ("::1", "::1", 5570),
        ("[::1]", "::1", 5570),
        ("[fe80::2]:99", "fe80::2", 99),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":5570", "board:", "board:x", "board:0", "board:65536", "board:-1", "a b", "http://board", "user@board", "board:5\u0663"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UserError, match="is no address; give HOST or HOST:PORT") as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "here"), [("127.0.0.1", True), ("127.3.2.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_loopback(host: str, here: bool) -> None:
    assert Address(host, 1).loopback is here
    assert not Address("board", 1).loopback


def test_this_machine_reaches_itself_wherever_it_serves() -> None:
    reached = {host: Address(host, 1).from_here().host for host in ("0.0.0.0", "::", "192.168.1.7", "::1")}
    assert reached == {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "192.168.1.7": "192.168.1.7", "::1": "::1"}
