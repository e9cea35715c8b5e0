"""The watchdog shuts down the connection of a statement that Postgres does not answer in time.

libpq waits for an answer without a bound. Keepalives and `tcp_user_timeout` notice a machine that
is gone, but the kernel of a server that is frozen, or whose COMMIT waits for a synchronous standby,
still acknowledges every byte. A thread shuts the socket down (shutdown(2) works for TCP, Unix
sockets and TLS alike), libpq then returns an error, and the statement raises `NoAnswer`. A cancel
request would need a new connection to the same frozen server.

Time counts only while this process runs: after it was stopped itself, answers may be waiting.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar, cast

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from node.runtime.errors import NoAnswer

_TICK_SECONDS = 0.25
_PROBE_SECONDS = 5
# After `hurry` a statement that begins late still has this long.
_LEAST_SECONDS = 1.0
_PROBE = "select coalesce(wait_event, '') = 'SyncRep' from pg_stat_activity where pid = %s"

_STATEMENT = "a statement"
_BROKEN = 2  # `closed` of a connection that the driver found lost

_Method = TypeVar("_Method", bound=Callable[..., Any])


class Limit(NamedTuple):
    """The seconds that a statement, and a COMMIT, may wait for an answer.

    If `patient`, a statement may take as long as it needs while Postgres answers others.
    """

    statement: float
    commit: float
    patient: bool = False


# Longer than any normal statement of a loop or a request, shorter than the 30 s of SIGTERM.
STRICT = Limit(20.0, 10.0)
# For exports, rebuilds and the building of indexes, which take minutes.
PATIENT = Limit(20.0, 10.0, patient=True)


class Watch:
    """The timer of one connection; a context manager around each statement."""

    def __init__(self, fd: int, limit: Limit) -> None:
        self.limit = limit
        self.waited = 0.0
        self.probe: Callable[[], bool] | None = None
        self._bound = limit.statement
        self._waits_for = _STATEMENT
        self._pending = False
        self._expired = False
        # libpq may close its own descriptor at any time, and another thread may get its number.
        self._fd = os.dup(fd)
        self._lock = threading.Lock()

    def for_commit(self) -> Watch:
        """Return this watch, with the limit of a COMMIT for the next statement."""
        self._bound, self._waits_for = self.limit.commit, "COMMIT"
        return self

    def limit_to(self, limit: Limit) -> None:
        self.limit, self._bound = limit, limit.statement

    def __enter__(self) -> None:
        with self._lock:
            self.waited = 0.0
            self._pending = True

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._lock:
            self._pending = False
            waited_for, self._waits_for = self._waits_for, _STATEMENT
            self._bound = self.limit.statement
            expired, self._expired = self._expired, False
        if expired and isinstance(error, psycopg2.Error):
            raise NoAnswer(f"no answer to {waited_for} within {self.waited:.0f} s") from error

    def tick(self, elapsed: float, most: float | None) -> None:
        """Add the time; shut the socket down if the statement has waited too long.

        `most` is an upper bound for every statement, in seconds, while the process ends.
        """
        with self._lock:
            if not self._pending or self._expired:
                return
            self.waited += elapsed
            hurried = most is not None and self.waited >= most
            if not hurried and self.waited < self._bound:
                return
            if hurried or not self.limit.patient:
                self._shut_down()
                return
            self._bound += self.limit.statement
        threading.Thread(target=self._judge, name="postgres-probe", daemon=True).start()

    def _judge(self) -> None:
        """Ask Postgres on another connection whether this statement still makes progress."""
        waited = self.waited
        if self.probe is None or self.probe():
            return
        with self._lock:
            if self._pending and self.waited >= waited:
                self._shut_down()

    def _shut_down(self) -> None:
        self._expired = True
        with suppress(OSError), socket.socket(fileno=os.dup(self._fd)) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._pending = False
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


@contextmanager
def answered_within(connection: Connection, seconds: float) -> Iterator[None]:
    """Limit each statement on `connection` to `seconds` inside the block."""
    watch = connection.watch if isinstance(connection, WatchedConnection) else None
    before = watch and watch.limit
    if watch:
        watch.limit_to(Limit(seconds, seconds))
    try:
        yield
    finally:
        if watch and before:
            watch.limit_to(before)


def _watched(method: _Method) -> _Method:
    @functools.wraps(method)
    def call(self: Any, *given: Any, **named: Any) -> Any:
        with self.connection.watch:
            return method(self, *given, **named)

    return cast(_Method, call)


class WatchedCursor(Cursor):
    """A cursor of a `WatchedConnection`, whose statements are watched."""

    execute = _watched(Cursor.execute)
    copy_expert = _watched(Cursor.copy_expert)


class WatchedServerCursor(WatchedCursor):
    """A named cursor, each fetch of which is a statement too."""

    fetchone = _watched(Cursor.fetchone)
    fetchmany = _watched(Cursor.fetchmany)
    fetchall = _watched(Cursor.fetchall)
    __next__ = _watched(Cursor.__next__)
    close = _watched(Cursor.close)


class WatchedConnection(Connection):
    """A connection that raises `NoAnswer`, and is closed, if Postgres does not answer in time.

    `watch_with` must be called once before the first statement.
    """

    watch: Watch

    def watch_with(self, dsn: str, limit: Limit) -> None:
        """Start watching; `dsn` is for the probe of a patient limit."""
        self.watch = Watch(self.fileno(), limit)
        if limit.patient:
            self.watch.probe = functools.partial(_gets_somewhere, dsn, self.info.backend_pid)
        _watchdog().add(self.watch)

    def cursor(self, name: Any = None, *given: Any, **named: Any) -> Any:
        named.setdefault("cursor_factory", WatchedServerCursor if name else WatchedCursor)
        return super().cursor(name, *given, **named)

    def commit(self) -> None:
        """Commit, with the limit of a COMMIT; `with connection` calls this as well."""
        with self.watch.for_commit():
            super().commit()

    def rollback(self) -> None:
        """Roll back, unless the connection is broken: then its own error is what counts."""
        if self.closed != _BROKEN:
            with self.watch:
                super().rollback()

    def set_client_encoding(self, encoding: str) -> None:
        with self.watch:
            super().set_client_encoding(encoding)

    def close(self) -> None:
        """Close the connection and its watch, without waiting."""
        super().close()
        self.watch.close()


def _gets_somewhere(dsn: str, pid: int) -> bool:
    """Return True if Postgres answers others and `pid` does not wait for a standby to confirm."""
    try:
        other = psycopg2.connect(
            dsn, connection_factory=WatchedConnection, connect_timeout=_PROBE_SECONDS
        )
        with closing(other):
            other.watch_with(dsn, Limit(_PROBE_SECONDS, _PROBE_SECONDS))
            with other, other.cursor() as cursor:
                cursor.execute(_PROBE, (pid,))
                return bool(cursor.fetchone() != (True,))
    except psycopg2.OperationalError:
        return False


class _Watchdog(threading.Thread):
    """The watchdog's thread, one per process, from its first connection on."""

    def __init__(self) -> None:
        super().__init__(name="postgres-watchdog", daemon=True)
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._left: float | None = None
        self.start()

    def add(self, watch: Watch) -> None:
        """Include this watch for as long as it exists."""
        with self._lock:
            self._watches.add(watch)

    def hurry(self, seconds: float | None) -> None:
        """Limit every statement to at most `seconds` from now; None removes that limit."""
        with self._lock:
            self._left = seconds

    def run(self) -> None:
        """Tick all watches for ever."""
        last = time.monotonic()
        while True:
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            elapsed, last = min(now - last, 2 * _TICK_SECONDS), now
            with self._lock:
                watches = [*self._watches]
                if self._left is not None:
                    self._left -= elapsed
                most = None if self._left is None else max(self._left, _LEAST_SECONDS)
            for watch in watches:
                watch.tick(elapsed, most)


_dogs: dict[int, _Watchdog] = {}
_starting = threading.Lock()


def _watchdog() -> _Watchdog:
    """Return the watchdog of this process: a thread does not survive a fork."""
    with _starting:
        return _dogs.get(os.getpid()) or _dogs.setdefault(os.getpid(), _Watchdog())


def hurry(seconds: float | None) -> None:
    """Let no statement wait longer than `seconds` from now, as the process ends; None undoes it."""
    _watchdog().hurry(seconds)
