"""Connections to the node's own Postgres, and its migrations.

One connection belongs to one thread. A broken one is thrown away and made anew by its owner;
there is no pool because each loop needs exactly one.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, NamedTuple, cast

import orjson
import psycopg2
import psycopg2.extras
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from node.dsn import without_secrets
from node.errors import Fatal, classified
from node.settings import Settings

__all__ = [
    "Connection",
    "Cursor",
    "Database",
    "Migration",
    "connect",
    "connected",
    "migrate",
    "own_connected",
    "own_database",
]

psycopg2.extras.register_default_jsonb(globally=True, loads=orjson.loads)


# psycopg2 decodes the status of each statement by a codec written in Python; a Ctrl-C that comes
# just then is raised there, and psycopg2 throws it away. This one is the same in C.
_CODEC = "petitionlink_utf_8"
codecs.register(
    lambda name: (
        codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode) if name == _CODEC else None
    )
)
psycopg2.extensions.encodings["UTF8"] = _CODEC

_CONNECT_TIMEOUT_SECONDS = 5
# A dead peer is noticed within about 20 s, not after the kernel's two hours.
_KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
# A loop that was frozen in a batch holds its rows no longer than this: who has taken over its
# partitions waits for them. Between two statements a batch of any size is folded sooner.
_FROZEN_SECONDS = 15
# Only one process migrates at a time; any fixed number of our own does.
_MIGRATION_LOCK = 0x70657469


def connect(dsn: str, role: str) -> Connection:
    """A new connection, named `role` in pg_stat_activity; raises `Transient` or `Fatal`."""
    try:
        made = psycopg2.connect(
            dsn,
            application_name=f"petitionlink-{role}",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            **_KEEPALIVES,
        )
    except psycopg2.Error as error:
        error.args = (without_secrets(str(error), dsn),)
        raise classified(error) or error from None
    made.set_client_encoding("UTF8")
    return cast(Connection, made)


@contextmanager
def connected(dsn: str, role: str) -> Iterator[Connection]:
    """A connection for one short task; database errors come out as one clear line."""
    connection = connect(dsn, role)
    try:
        yield connection
    except psycopg2.Error as error:
        raise classified(error) or error from error
    finally:
        connection.close()


@contextmanager
def own_connected(settings: Settings, role: str) -> Iterator[Connection]:
    """As `connected`, to the node's own database; `Fatal` if it is another's or has no tables."""
    with connected(settings.dsn, role) as connection:
        with connection, connection.cursor() as cursor:
            own_database(cursor, settings.node)
        yield connection


class Migration(NamedTuple):
    """One forward step of the database: its number, name, SQL and the digest of its text."""

    number: int
    name: str
    sql: str
    digest: str


def migrations() -> list[Migration]:
    """The shipped migrations in order; the file name begins with the number."""
    files = [
        entry
        for entry in resources.files("node").joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    ]
    steps = []
    for file in sorted(files, key=lambda entry: entry.name):
        sql = file.read_text(encoding="utf-8")
        digest = hashlib.sha256(sql.encode()).hexdigest()
        steps.append(Migration(int(file.name[:4]), file.name, sql, digest))
    return steps


def migrate(dsn: str, node: str) -> list[str]:
    """Bring the database of `node` up to date; the names of the steps that were applied.

    Safe to run twice and by two processes at once. Raises `Fatal` if the database belongs to
    another node, was made by a newer release, or an applied step was edited afterwards.
    """
    with connected(dsn, "migrate") as connection, connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        cursor.execute(
            "create table if not exists schema_migration (number integer primary key, "
            "name text not null, digest text not null, applied_at timestamptz default now())"
        )
        applied = _apply_missing(cursor)
        cursor.execute(
            "insert into node_identity (node) values (%s) on conflict do nothing", (node,)
        )
        own_database(cursor, node)
    return applied


def _apply_missing(cursor: Cursor) -> list[str]:
    cursor.execute("select number, digest from schema_migration")
    done: dict[int, str] = dict(cursor.fetchall())
    shipped = migrations()
    unknown = set(done) - {step.number for step in shipped}
    if unknown:
        raise Fatal(
            f"the database has migration {max(unknown)}, which this release does not know: "
            "install the newer release again"
        )
    applied = []
    for step in shipped:
        if step.number not in done:
            cursor.execute(step.sql)
            cursor.execute(
                "insert into schema_migration (number, name, digest) values (%s, %s, %s)",
                (step.number, step.name, step.digest),
            )
            applied.append(step.name)
        elif done[step.number] != step.digest:
            raise Fatal(f"migration {step.name} was edited after it was applied: restore the file")
    return applied


def own_database(cursor: Cursor, node: str) -> None:
    """Raise `Fatal` unless this is the migrated database of `node`."""
    cursor.execute("select to_regclass('node_identity') is not null")
    row = cursor.fetchone()
    if row is None or not row[0]:
        raise Fatal(f"the database of node {node} has no tables yet: run `petitionlink migrate`")
    cursor.execute("select node from node_identity")
    row = cursor.fetchone()
    if row is not None and row[0] != node:
        raise Fatal(
            f"this database belongs to node {row[0]}, not to {node}: "
            "check PETITIONLINK_NODE and PETITIONLINK_POSTGRES_DSN"
        )


_LIMIT_FROZEN = "select set_config('idle_in_transaction_session_timeout', %s, false)"


class Database:
    """A loop's own connection: made when it is needed, thrown away after an error."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._role = role
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """The live connection; raises `Transient`, or `Fatal` if the database is not ours."""
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
        """Forget a connection that failed; what it had not committed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    close = discard
