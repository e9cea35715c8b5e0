"""The HTTP server of the metrics 指标端口, bounded like the web service.

The library's own server keeps a thread for as long as a connection lasts. Here a scrape has ten
seconds, and of a few connections the oldest is closed for the next one, so that silent clients
neither use up descriptors nor keep Prometheus out.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from node.runtime.errors import Fatal
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

# Prometheus keeps one connection open; the others are for people.
MOST_CONNECTIONS = 8
_SECONDS = 10.0


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """A server with a thread for each of a few connections, none of which lasts."""

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
        """Do what `HTTPServer.server_bind` does, but for its reverse look-up, which may be slow."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; end the oldest connection if there are too many."""
        with self._lock:
            while len(self._open) >= MOST_CONNECTIONS:
                _end(self._open, next(iter(self._open)))
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget and close a connection, in its own thread."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections that take too long; called twice a second."""
        before = time.monotonic() - self._seconds
        with self._lock:
            for request in [request for request, since in self._open.items() if since < before]:
                _end(self._open, request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback for a client that went away."""


def _end(connections: dict[socket.socket, float], request: socket.socket) -> None:
    """Let the thread of a connection read an end of file; then it closes the connection."""
    del connections[request]
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


@contextmanager
def metrics_served(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Serve the metrics inside the block; raises `Fatal` if the port cannot be opened."""
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
