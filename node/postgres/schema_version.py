"""The schema version 数据库版本: the number of the last migration, which a release expects.

A process must not write to a database of another release. `migrate` refuses while processes are
connected; a process checks when it connects; and for connections that stay open, triggers refuse
what a connection of another release writes. Each connection tells which migration it expects in
the setting `petitionlink.schema`, so the check costs no round trip.
"""

import hashlib
import time
from functools import cache
from importlib import resources
from typing import NamedTuple

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from node.runtime.errors import Fatal, OtherRelease

# The first migration that has the guard; databases before it are of an earlier release.
_GUARDED_SINCE = 12
# Commands take seconds; what is connected longer is a process that must be stopped.
WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_LISTED = 10
_WANTED_ENCODING = "UTF8"

_PROCESSES = """
    select application_name, pid, coalesce(host(client_addr), 'this machine')
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
        and application_name like 'petitionlink-%'
        and application_name <> 'petitionlink-migrate'
    order by 1, 2
"""
_APPLIED = "select coalesce(max(number), 0) from schema_migration"


class Migration(NamedTuple):
    """One forward step of the database: its number, name, SQL and the digest of its text."""

    number: int
    name: str
    sql: str
    digest: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the shipped migrations in order; their file names begin with the number."""
    folder = resources.files("node.postgres").joinpath("migrations")
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    steps = []
    for file in sorted(files, key=lambda file: file.name):
        sql = file.read_text(encoding="utf-8")
        digest = hashlib.sha256(sql.encode()).hexdigest()
        steps.append(Migration(int(file.name[:4]), file.name, sql, digest))
    return tuple(steps)


def schema_version() -> int:
    return migrations()[-1].number


def check_encoding(connection: Connection) -> None:
    """Raise `Fatal` unless the database stores UTF-8; any other encoding loses characters."""
    encoding = connection.get_parameter_status("server_encoding")
    if encoding != _WANTED_ENCODING:
        raise Fatal(
            f"the database is encoded in {encoding} and cannot hold every character of a name: "
            "make another one with `create database … encoding 'UTF8' template template0`, and "
            "name it in PETITIONLINK_POSTGRES_DSN"
        )


def check_version(cursor: Cursor, node: str, expected: int) -> None:
    """Raise `OtherRelease` unless the database is at migration `expected`."""
    cursor.execute(_APPLIED)
    (applied,) = cursor.fetchone() or (0,)
    if applied < expected:
        raise OtherRelease(
            f"the database of node {node} is at migration {applied} and this release needs "
            f"{expected}: stop the processes of the release before, then run `petitionlink migrate`"
        )
    if applied > expected:
        raise OtherRelease(
            f"the database of node {node} is at migration {applied}, made by a newer release than "
            f"this one, which knows {expected}: stop this process and install the newer release"
        )


def await_no_processes(connection: Connection, seconds: float) -> None:
    """Wait until no process of the node is connected; raise `Fatal` with their names if some stay.

    Each query is a transaction of its own, because Postgres shows the same list within one.
    """
    deadline = time.monotonic() + seconds
    while users := _processes(connection):
        if time.monotonic() > deadline:
            names = [f"{name} (process {pid} of Postgres, from {at})" for name, pid, at in users]
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise Fatal(
                f"processes of the release before still use this database: "
                f"{', '.join(names[:_LISTED])}{more}: stop them, then run "
                "`petitionlink migrate` again; nothing was changed"
            )
        time.sleep(_LOOK_SECONDS)


def _processes(connection: Connection) -> list[tuple[str, int, str]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(_PROCESSES)
        return cursor.fetchall()


def guard(cursor: Cursor, version: int) -> None:
    """Let only connections that expect `version` write from now on; waits for running writers."""
    if version >= _GUARDED_SINCE:
        cursor.execute("select guard_against_other_releases(%s)", (version,))
