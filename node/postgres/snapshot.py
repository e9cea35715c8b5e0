"""A snapshot 同一时点, so that several queries see the same state of the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from node.postgres.connection import Connection, Cursor

# Some reports join a million rows; with the default of 4 MB that goes through the disk.
_BEGIN = """
    set transaction isolation level repeatable read read only;
    set local work_mem = '64MB'
"""


@contextmanager
def snapshot(connection: Connection) -> Iterator[Cursor]:
    """Yield a cursor in a read-only transaction of its own; no transaction may be open already."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_BEGIN)
        yield cursor
