"""Connections 数据库连接 of the web service: a few, lent to one request at a time.

Requests come on many threads, so unlike the node's loops the web service needs several. A broken
connection is closed together with all idle ones, because Postgres went away under them too; one
that was idle for long is tried before it is lent. Heavy queries 重查询 get fewer connections: the
indicators of a year take seconds, and eight of them at once would hold all connections.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg2

from node.postgres.connection import Connection, connect, own_database
from node.postgres.synchronous_standby import refuse_while_unconfirmed
from node.runtime.errors import NoAnswer, Transient
from node.runtime.settings import Settings
from node.runtime.watchdog import answered_within

_MOST = 8
# Longer than any good answer takes; after that, "busy" is better than a queue.
_WAIT_SECONDS = 5.0
_TRUSTED_IDLE_SECONDS = 1.0
# An idle connection answers at once or not at all.
_TRIAL_SECONDS = 3.0
# A query of a page takes milliseconds, indicators of a year up to 2 s. A longer one holds back
# others; a command waits at most lock_timeout for a case that another one holds. With the zone
# fixed, every instant that an event can hold can also be read.
_SESSION = "set statement_timeout = '15s'; set lock_timeout = '10s'; set timezone = 'UTC'"

# Heavy queries at once: fewer than half of the connections; the pages remember their figures.
MOST_HEAVY: Final = 3
# Each one that waits holds one of the forty threads that answer requests.
MOST_HEAVY_WAITING: Final = 8


class Connections:
    """Calling it lends a connection for a `with` block; safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free = threading.BoundedSemaphore(_MOST)
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection, float]] = []
        self._doubted = False

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """Lend a connection to the node's own database, without an open transaction.

        Raises `Transient` while Postgres is away or all connections are busy, `Fatal` if the
        database is not this node's; errors of the driver inside the block pass through.
        """
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise Transient("all database connections of the web service are busy")
        try:
            with self._lent() as connection:
                yield connection
        finally:
            self._free.release()

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        connection = self._take() or self._make()
        try:
            yield connection
        except psycopg2.Error as error:
            if connection.closed:
                self.close()
            if isinstance(error, NoAnswer):
                self.doubt()
            raise
        finally:
            self._give_back(connection)

    def doubt(self) -> None:
        """Note that a statement was given up: the next command asks if commits are confirmed."""
        self._doubted = True

    def check_commits(self, connection: Connection) -> None:
        """Raise `Transient` while commits are not confirmed; asks only after `doubt`."""
        if self._doubted:
            with connection, connection.cursor() as cursor:
                refuse_while_unconfirmed(cursor)
            self._doubted = False

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _take(self) -> Connection | None:
        """Take the connection that was used last, if there is one and it lives."""
        with self._lock:
            if not self._idle:
                return None
            connection, since = self._idle.pop()
        if time.monotonic() - since < _TRUSTED_IDLE_SECONDS or _lives(connection):
            return connection
        connection.close()
        self.close()
        return None

    def _make(self) -> Connection:
        connection = connect(self._settings.dsn, "web")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(_SESSION)
                own_database(cursor, self._settings.node)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.closed:
            return
        try:
            connection.rollback()  # does nothing after a block that committed
        except psycopg2.Error:
            connection.close()
            return
        with self._lock:
            self._idle.append((connection, time.monotonic()))


def _lives(connection: Connection) -> bool:
    try:
        with (
            answered_within(connection, _TRIAL_SECONDS),
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select 1")
    except psycopg2.Error:
        return False
    return True


class HeavyConnections:
    """Calling it lends a connection for a query that takes long; safe for many threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._free = threading.BoundedSemaphore(MOST_HEAVY)
        self._places = threading.BoundedSemaphore(MOST_HEAVY + MOST_HEAVY_WAITING)

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """Lend a connection; raises `Transient` if others hold all that heavy queries may have."""
        with (
            _acquired(self._places, 0.0),
            _acquired(self._free, _WAIT_SECONDS),
            self._connections() as connection,
        ):
            yield connection


@contextmanager
def _acquired(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    if not places.acquire(timeout=seconds):
        raise Transient("too many heavy queries are being answered at once", "")
    try:
        yield
    finally:
        places.release()
