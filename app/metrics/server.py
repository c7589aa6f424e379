"""Answers Prometheus over HTTP, in threads of its own. Needs prometheus-client (poselift[metrics])."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from poselift.common.errors import UserError

PATIENCE_S = 2.0
"""Who asks and then says nothing for so long is let go."""


@contextmanager
def answering(address: str, registry: CollectorRegistry) -> Iterator[None]:
    """Answer with what is in `registry` at HOST:PORT. Raises UserError where that cannot be had, such as a port in use."""
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise UserError(f"{address}: metrics cannot be given there ({error.strerror}); set another metrics.address") from None
    server.RequestHandlerClass.timeout = PATIENCE_S  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who asked has left, or was too slow: no concern of ours
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
