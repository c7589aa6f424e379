"""Answers Prometheus over HTTP, one request at a time, in a thread of its own. Needs prometheus-client (poselift[metrics])."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from poselift.common.errors import UserError

PATIENCE_S = 2.0
"""Who asks and then says nothing for so long is let go; the next one waits meanwhile."""
TURN_S = 0.1


@contextmanager
def answering(address: str, registry: CollectorRegistry) -> Iterator[None]:
    """Answer with what is in `registry` at HOST:PORT. Raises UserError where that cannot be had, such as a port in use."""
    host, _, port = address.rpartition(":")
    try:
        server = make_server(host.strip("[]"), int(port), make_wsgi_app(registry), _Server6 if "[" in host else _Server, _Handler)
    except OSError as error:
        raise UserError(f"{address}: metrics cannot be given there ({error.strerror}); set another metrics.address") from None
    thread = threading.Thread(target=server.serve_forever, args=(TURN_S,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(WSGIServer):
    def server_bind(self) -> None:
        """As WSGIServer does, but without asking a name server for our name, which may take its time."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = map(str, self.server_address[:2])  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked has left, or was too slow: no concern of ours."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: every scrape would be a line."""
