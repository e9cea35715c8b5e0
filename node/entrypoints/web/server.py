"""The web server 网络服务 as a worker of a node: uvicorn runs in the worker's own thread."""

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI

from node.entrypoints.web.app import create_app
from node.entrypoints.web.client_limits import Client, Clients, limits_of_process
from node.entrypoints.web.services import Services
from node.postgres.connection import Database
from node.runtime.errors import Fatal, Transient
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop

log = logging.getLogger(__name__)

# The most connections that are accepted before one of them can be refused; those of two rounds,
# closed and not, fit into the reserved descriptors.
_BACKLOG = 32
# Answers take milliseconds; a longer one waits for something that is away.
_GRACE_SECONDS = 5
_IDLE_SECONDS = 15


class WebServer:
    """A supervised worker that serves the API and the pages.

    While Kafka or Postgres is away it answers with problems.
    """

    name = "web"

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def session(self, stop: Stop) -> None:
        """Serve until `stop`; raises `Fatal` if port, keys or database are not ours to use."""
        self._check_database()
        app = create_app(self._settings, self._metrics)
        clients = Clients(limits_of_process(), self._metrics)
        services: Services = app.state.services
        with closing(_listening(self._settings)) as listener, closing(services.connections):
            proxies = self._settings.http_trusted_proxies
            server = uvicorn.Server(_configuration(app, clients, proxies))
            with _stopped_by(stop, server):
                server.run(sockets=[listener])

    def _check_database(self) -> None:
        """Raise `Fatal` for another node's database; one that is away is only reported."""
        up = self._metrics.dependency_up.labels("postgres")
        with closing(Database(self._settings, "web")) as database:
            try:
                database.connection()
                up.set(1)
            except Transient as error:
                up.set(0)
                log.warning("web serves without its database: %s", error)


def _configuration(app: FastAPI, clients: Clients, trusted_proxies: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(Client, clients),  # type: ignore[arg-type]  # it is only ever called
        backlog=_BACKLOG,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # A client must not choose its own address by a header.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _listening(settings: Settings) -> socket.socket:
    address, port = settings.http_address, settings.http_port
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Fatal(
            f"web port {port} on {address} cannot be opened ({error.strerror}): set "
            "PETITIONLINK_HTTP_PORT to a free one, PETITIONLINK_HTTP_ADDRESS to one of this machine"
        ) from None
    if not ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback:
        log.warning(
            "web listens on %s: put a gate in front, for nobody is asked who he is", address
        )
    return listener


@contextmanager
def _stopped_by(stop: Stop, server: uvicorn.Server) -> Iterator[None]:
    """Inside the block, `stop` ends the server, which finishes the answers it has begun."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set() and not stop.wait(0.2):
            pass
        server.should_exit = True

    watcher = threading.Thread(target=watch, name="web-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
