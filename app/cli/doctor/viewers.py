"""Whether viewers elsewhere can be served: the keys, who is admitted, the port."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from poselift.app.cli.doctor.finding import Finding, trouble
from poselift.app.config import Config
from poselift.app.dataflow.streams import SERVER
from poselift.app.processes.process import running
from poselift.app.remote.address import Address, parse_address
from poselift.app.remote.authenticator import check_curve
from poselift.app.remote.key_strings import Role
from poselift.app.remote.keys import admitted, folder_for, own_pair
from poselift.common.errors import UserError


def look(config: Config) -> Iterator[Finding]:
    """Nothing if the config does not serve viewers."""
    if config.serve.address is None:
        return
    try:
        address = parse_address(config.serve.address)
        yield _admitted(address, config.serve.keys_folder)
    except UserError as error:
        yield trouble("viewers", error)
        return
    if not running(config.runtime_path(), SERVER):
        yield from _taken(address)


def _admitted(address: Address, keys_folder: str | None) -> Finding:
    folder = folder_for(address.loopback, keys_folder)
    if folder is None:
        return Finding("viewers", f"{address}: everyone on this machine", True)
    check_curve()
    own_pair(folder)
    names = [f"{entry.name} ({entry.permission.value})" for entry in admitted(folder) if entry.role is Role.VIEWER]
    if names:
        return Finding("viewers", f"{address}: {', '.join(names)}", True)
    remedy = "on the laptop: poselift keys new; then type here the line that it prints"
    return Finding("viewers", f"{address}: nobody is admitted ({folder})", False, remedy)


def _taken(address: Address) -> Iterator[Finding]:
    """A finding if the port cannot be opened."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with contextlib.closing(socket.socket(family)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as error:
        remedy = "stop what is there, or set another serve.address"
        yield Finding("viewers' port", f"{address} cannot be opened ({error.strerror or error})", False, remedy)
