"""Connections to the node's own Postgres, and its migrations.

A connection belongs to one thread, which replaces it when it is broken; there is no pool because
each loop needs exactly one.
"""

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import orjson
import psycopg2
import psycopg2.extras
from psycopg2 import extensions

from node.postgres import pooler_check
from node.postgres import schema_version as postgres_schema_version
from node.postgres.advisory_lock import Lock, wait_for_transaction_lock
from node.postgres.connection_errors import refused
from node.postgres.schema_version import Migration, migrations, schema_version
from node.runtime.dsn import without_secrets
from node.runtime.errors import Fatal, classified
from node.runtime.settings import Settings
from node.runtime.watchdog import PATIENT, STRICT, Limit, WatchedConnection

Connection = extensions.connection
Cursor = extensions.cursor

psycopg2.extras.register_default_jsonb(globally=True, loads=orjson.loads)

# psycopg2 decodes the status of each statement with a codec written in Python; a Ctrl-C that
# arrives just then is raised there, and psycopg2 discards it. This codec is the same in C.
_CODEC = "petitionlink_utf_8"
codecs.register(
    lambda name: (
        codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode) if name == _CODEC else None
    )
)
extensions.encodings["UTF8"] = _CODEC

_CONNECT_TIMEOUT_SECONDS = 5
# A dead peer is noticed within about 20 s, not after the kernel's two hours.
_KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
# A loop that was frozen in a batch holds its row locks no longer than this, because the process
# that took over its partitions waits for them. Folding a batch of any size takes less time.
_FROZEN_SECONDS = 15
# After this long a statement that waits for a lock fails and is tried again; if the watchdog ended
# it first, each try would leave a waiting backend.
_LOCK_SECONDS = 15
# Backends check this often, while they work, that their client is still connected.
_CLIENT_CHECK_SECONDS = 5
_MIGRATION_LOCK_WAIT = "30s"


def connect(dsn: str, role: str, limit: Limit = STRICT, version: int | None = None) -> Connection:
    """Open a connection, named `role` in pg_stat_activity; raises `Transient` or `Fatal`.

    A statement that exceeds `limit` raises `NoAnswer`. The connection may write only to a database
    at migration `version`, by default this release's.
    """
    try:
        made = psycopg2.connect(
            dsn,
            application_name=f"petitionlink-{role}",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            connection_factory=WatchedConnection,
            **_KEEPALIVES,
        )
    except psycopg2.Error as error:
        error.args = (without_secrets(str(error), dsn),)
        raise refused(dsn, error) from None
    try:
        made.watch_with(dsn, limit)
        made.set_client_encoding("UTF8")
        pid = _introduce(made, schema_version() if version is None else version, limit)
        pooler_check.check(dsn, made, pid)
    except psycopg2.Error as error:
        made.close()
        raise classified(error) or error from None
    except BaseException:
        made.close()
        raise
    return cast(Connection, made)


# A patient command takes the time it needs whatever the role's default is, as pg_dump does.
_INTRODUCE = """
    select set_config('petitionlink.schema', %(version)s, false), pg_backend_pid(),
           set_config('lock_timeout', %(lock)s, false),
           case when %(patient)s then set_config('statement_timeout', '0', false) end,
           case when current_setting('client_connection_check_interval', true) is not null
               then set_config('client_connection_check_interval', %(check)s, false) end
"""


def _introduce(made: Connection, version: int, limit: Limit) -> int:
    """Set the session's schema version and time limits; return the pid of its backend."""
    made.autocommit = True
    values = {
        "version": str(version),
        "lock": f"{0 if limit.patient else _LOCK_SECONDS}s",
        "patient": limit.patient,
        "check": f"{_CLIENT_CHECK_SECONDS}s",
    }
    with made.cursor() as cursor:
        cursor.execute(_INTRODUCE, values)
        _, pid, *_ = cursor.fetchone() or ("", 0)
    made.autocommit = False
    return int(pid)


@contextmanager
def connected(dsn: str, role: str) -> Iterator[Connection]:
    """Open a connection for a short task; database errors are raised as one clear line."""
    connection = connect(dsn, role, PATIENT)
    try:
        yield connection
    except psycopg2.Error as error:
        raise classified(error) or error from error
    finally:
        connection.close()


@contextmanager
def own_connected(settings: Settings, role: str) -> Iterator[Connection]:
    """Do as `connected`, to the node's own database; `Fatal` if it is not or has no tables."""
    with connected(settings.dsn, role) as connection:
        with connection, connection.cursor() as cursor:
            own_database(cursor, settings.node)
        yield connection


def migrate(
    dsn: str, node: str, wait_seconds: float = postgres_schema_version.WAIT_SECONDS
) -> list[str]:
    """Bring the database of `node` up to date; return the names of the applied migrations.

    If there are any, connected processes have `wait_seconds` to end. It is safe to run this again
    and from two processes at once. Raises `Fatal` if the database belongs to another node, was made
    by a newer release, is not encoded in UTF-8 or is in use by processes of the release before, or
    if an applied migration was edited.
    """
    with connected(dsn, "migrate") as connection:
        postgres_schema_version.check_encoding(connection)
        if _is_outdated(connection):
            postgres_schema_version.await_no_processes(connection, wait_seconds)
        with connection, connection.cursor() as cursor:
            return _migrated(cursor, node)


def _is_outdated(connection: Connection) -> bool:
    """Return True if the database has some of the migrations, but not all."""
    with connection, connection.cursor() as cursor:
        return _has_table(cursor, "schema_migration") and bool(_steps(cursor, migrations()))


def _migrated(cursor: Cursor, node: str) -> list[str]:
    wait_for_transaction_lock(cursor, Lock.MIGRATION)
    cursor.execute("select set_config('lock_timeout', %s, true)", (_MIGRATION_LOCK_WAIT,))
    cursor.execute(
        "create table if not exists schema_migration (number integer primary key, "
        "name text not null, digest text not null, applied_at timestamptz default now())"
    )
    shipped = migrations()
    steps = _steps(cursor, shipped)
    for step in steps:
        cursor.execute(step.sql)
        cursor.execute(
            "insert into schema_migration (number, name, digest) values (%s, %s, %s)",
            (step.number, step.name, step.digest),
        )
    if steps:
        postgres_schema_version.guard(cursor, shipped[-1].number)
    cursor.execute("insert into node_identity (node) values (%s) on conflict do nothing", (node,))
    _check_owner(cursor, node)
    return [step.name for step in steps]


def _steps(cursor: Cursor, shipped: Sequence[Migration]) -> list[Migration]:
    """Return the shipped steps that the database lacks; `Fatal` if it has other ones."""
    cursor.execute("select number, digest from schema_migration")
    done: dict[int, str] = dict(cursor.fetchall())
    unknown = set(done) - {step.number for step in shipped}
    if unknown:
        raise Fatal(
            f"the database has migration {max(unknown)}, which this release does not know: "
            "install the newer release again"
        )
    for step in shipped:
        if done.get(step.number, step.digest) != step.digest:
            raise Fatal(f"migration {step.name} was edited after it was applied: restore the file")
    return [step for step in shipped if step.number not in done]


def own_database(cursor: Cursor, node: str, version: int | None = None) -> None:
    """Raise `Fatal` unless this is the database of `node`, at migration `version` (this release's).

    Also note the present run of Postgres in the history of the database (ADR 26).
    """
    postgres_schema_version.check_encoding(cursor.connection)
    if not _has_table(cursor, "node_identity"):
        raise Fatal(f"the database of node {node} has no tables yet: run `petitionlink migrate`")
    _check_owner(cursor, node)
    postgres_schema_version.check_version(
        cursor, node, schema_version() if version is None else version
    )
    cursor.execute("select note_feed_epoch()")


def _has_table(cursor: Cursor, name: str) -> bool:
    cursor.execute("select to_regclass(%s) is not null", (name,))
    return cursor.fetchone() == (True,)


def _check_owner(cursor: Cursor, node: str) -> None:
    cursor.execute("select node from node_identity")
    row = cursor.fetchone()
    if row is not None and row[0] != node:
        raise Fatal(
            f"this database belongs to node {row[0]}, not to {node}: "
            "check PETITIONLINK_NODE and PETITIONLINK_POSTGRES_DSN"
        )


_LIMIT_FROZEN = "select set_config('idle_in_transaction_session_timeout', %s, false)"


class Database:
    """A loop's own connection: opened when it is needed, discarded after an error."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._role = role
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the connection; raises `Transient`, or `Fatal` if the database is not ours."""
        if self._connection is None:
            made = connect(self._settings.dsn, self._role)
            try:
                with made, made.cursor() as cursor:
                    cursor.execute(_LIMIT_FROZEN, (f"{_FROZEN_SECONDS}s",))
                    own_database(cursor, self._settings.node)
            except BaseException:
                made.close()
                raise
            self._connection = made
        return self._connection

    def discard(self) -> None:
        """Close the connection; what it had not committed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    close = discard
