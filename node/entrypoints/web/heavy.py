"""Heavy queries 重查询: a few at once, so that cases and commands still get a connection.

Indicators of a year take seconds each, and eight of them at once would hold all connections of the
web service.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.entrypoints.web.connection_pool import Connections
from node.postgres.connection import Connection
from node.runtime.errors import Transient

# Fewer than half of the eight connections; the pages remember their figures.
MOST: Final = 3
# Who waits holds one of the forty threads that answer requests.
MOST_WAITING: Final = 8
_WAIT_SECONDS = 5.0


class Heavy:
    """Calling it lends a connection for a query that takes long; safe for many threads."""

    def __init__(self, connections: Connections, most: int = MOST) -> None:
        self._connections = connections
        self._free = threading.BoundedSemaphore(most)
        self._places = threading.BoundedSemaphore(most + MOST_WAITING)

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """As `Connections`; raises `Transient` if others hold all that heavy queries may have."""
        with (
            _taken(self._places, 0.0),
            _taken(self._free, _WAIT_SECONDS),
            self._connections() as connection,
        ):
            yield connection


@contextmanager
def _taken(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    if not places.acquire(timeout=seconds):
        raise Transient("too many heavy queries are being answered at once", "")
    try:
        yield
    finally:
        places.release()
