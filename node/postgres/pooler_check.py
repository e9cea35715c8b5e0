"""A check that refuses a connection pooler 连接池 that changes sessions.

Advisory locks, prepared statements, LISTEN and settings belong to a session. In transaction or
statement pooling each transaction may run in another session, and two processes may share one.
"""

import time

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from node.postgres.connection_errors import finished
from node.runtime.errors import POOLED, Fatal

# An idle pooler reuses the server connection that was used last, so one turn shows it; a busy one
# may use another connection in each turn.
_TURNS = 3
_WAIT_SECONDS = 3.0
_PID = "select pg_backend_pid()"

# Addresses whose pooler keeps sessions.
_keeps_sessions: set[str] = set()


def check(dsn: str, made: Connection, pid: int) -> None:
    """Raise `Fatal` if a pooler between `made` and the backend `pid` changes sessions.

    Without a pooler this costs nothing: Postgres tells its pid when it accepts a connection, which
    a pooler replaces by one of its own. `made` is outside a transaction.
    """
    if pid == made.info.backend_pid or dsn in _keeps_sessions:
        return
    for _ in range(_TURNS):
        other = _pid_of_another(dsn)
        if other is None:
            return  # every session is in use: unknown, so check again next time
        if other == pid or _pid(made) != pid:
            raise Fatal(f"Postgres is reached through a pooler: {POOLED}")
    _keeps_sessions.add(dsn)


def _pid(made: Connection) -> int:
    made.autocommit = True
    with made.cursor() as cursor:
        cursor.execute(_PID)
        (pid,) = cursor.fetchone() or (0,)
    made.autocommit = False
    return int(pid)


def _pid_of_another(dsn: str) -> int | None:
    """Return the backend of a new connection; None if there is none within the time."""
    deadline = time.monotonic() + _WAIT_SECONDS
    other = psycopg2.connect(dsn, async_=1, application_name="petitionlink-probe")
    try:
        if not finished(other, deadline):
            return None
        cursor = other.cursor()
        cursor.execute(_PID)
        if not finished(other, deadline):
            return None
        (pid,) = cursor.fetchone() or (0,)
        return int(pid)
    finally:
        other.close()
