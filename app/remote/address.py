"""The address at which a board serves: HOST:PORT."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from poselift.app.redact import display_name
from poselift.app.remote.wire import PORT
from poselift.common.errors import UserError


class Address(NamedTuple):
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def from_here(self) -> Address:
        """The address at which this machine itself reaches what it serves at this one, which may be 'all addresses'."""
        return self._replace(host="127.0.0.1") if self.host in ("0.0.0.0", "::") else self


def parse_address(text: str) -> Address:
    """Parse HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT. Raises UserError."""
    host, port = text, str(PORT)
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else port
        good = rest in ("", f":{port}") and ":" in host
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        good = True
    else:
        good = text.count(":") != 0 or bool(text)
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            good = False
    good = good and bool(host) and not set(host) & set(" /[]@") and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535
    if not good:
        raise UserError(f"{display_name(text)!r:.100} is no address; give HOST or HOST:PORT, such as 192.168.1.20:{PORT}")
    return Address(host, int(port))
