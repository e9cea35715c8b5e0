"""The address where Prometheus reads the metrics 指标端口, bounded like the web service.

The library's own server gives each connection a thread for as long as it stays. Here a scrape has
ten seconds for everything, and of very few at once the oldest makes room for the next, so that
silent clients keep neither descriptors nor Prometheus out.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from node.runtime.errors import Fatal
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

# Prometheus makes one connection and keeps it; a second asks by hand.
MOST_CONNECTIONS = 8
_SECONDS = 10.0


class _Handler(WSGIRequestHandler):
    """One request; nothing is logged of it."""

    timeout = _SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """A thread for each of a few connections, none of which lasts."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(
        self, address: str, port: int, metrics: Metrics, seconds: float = _SECONDS
    ) -> None:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        self.address_family = family
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}  # in the order in which they came
        super().__init__((address, port), _Handler)
        self.set_app(make_wsgi_app(metrics.registry))

    def server_bind(self) -> None:
        """Bind without asking who we are by name, which may take long."""
        socket_server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; the oldest connection goes if there are too many."""
        with self._lock:
            while len(self._open) >= MOST_CONNECTIONS:
                _end(self._open, next(iter(self._open)))
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection is closed by its own thread, whoever ended it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: end what takes too long."""
        before = time.monotonic() - self._seconds
        with self._lock:
            for request in [one for one, since in self._open.items() if since < before]:
                _end(self._open, request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print a traceback for."""


def socket_server_bind(server: WSGIServer) -> None:
    """`HTTPServer.server_bind` without its reverse look-up of the name."""
    if server.allow_reuse_address:
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(server.server_address)
    server.server_address = server.socket.getsockname()
    host, server.server_port = server.server_address[:2]
    server.server_name = str(host)
    server.setup_environ()


def _end(several: dict[socket.socket, float], request: socket.socket) -> None:
    """Wake its thread, which reads or writes, with an end; it closes the connection."""
    del several[request]
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


@contextmanager
def metrics_served(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Inside, the metrics are answered; `Fatal` if the port or the address is not ours to use."""
    address, port = settings.metrics_address, settings.metrics_port
    try:
        server = MetricsServer(address, port, metrics)
    except OSError as error:
        raise Fatal(
            f"metrics port {port} on {address} cannot be opened ({error.strerror}): set "
            "PETITIONLINK_METRICS_PORT to a free one, PETITIONLINK_METRICS_ADDRESS to one of "
            "this machine"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
