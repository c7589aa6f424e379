"""The way to a board: what this machine serves is reached as it serves it, everything else by its address."""

from __future__ import annotations

from typing import Optional

from poselift.app.config import Config, ServeConfig
from poselift.app.dataflow.streams import SERVER
from poselift.app.processes.process import running, supervised
from poselift.app.remote.address import parse_address
from poselift.app.remote.client import Remote, remote, remote_here


def serves_here(config: Config) -> Optional[ServeConfig]:
    """What this machine serves, None where it serves nothing: what runs here is not always as the config says."""
    folder = config.runtime_path()
    run = supervised(folder) or (config if running(folder, SERVER) else None)
    return run.serve if run and run.serve.address else None


def reach(host: str, config: Config) -> Remote:
    """The connection to what serves at HOST or HOST:PORT. Raises UserError."""
    place, here = parse_address(host), serves_here(config)
    if here and here.address and place.loopback:
        served = parse_address(here.address).from_here()
        if served.loopback and served.port == place.port:
            return remote_here(here.address, here.keys_folder)
    return remote(host, config.serve.keys_folder)
