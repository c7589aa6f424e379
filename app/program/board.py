"""Connects to a board: what this machine itself serves is reached as it is served, everything else by its address."""

from __future__ import annotations

from typing import Optional

from poselift.app.config import Config, ServeConfig
from poselift.app.dataflow.streams import SERVER
from poselift.app.processes.process import running, supervised
from poselift.app.remote.address import parse_address
from poselift.app.remote.client import Client, connect, connect_here


def local_server(config: Config) -> Optional[ServeConfig]:
    """How this machine serves now, which is not always as `config` says; None if it does not."""
    folder = config.runtime_path()
    run = supervised(folder) or (config if running(folder, SERVER) else None)
    return run.serve if run and run.serve.address else None


def connect_board(host: str, config: Config) -> Client:
    """A client of what serves at HOST or HOST:PORT. Raises UserError."""
    address, local = parse_address(host), local_server(config)
    if local and local.address and address.loopback:
        served = parse_address(local.address).from_here()
        if served.loopback and served.port == address.port:
            return connect_here(local.address, local.keys_folder)
    return connect(host, config.serve.keys_folder)
