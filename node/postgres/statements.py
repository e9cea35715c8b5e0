"""Statements 语句 that are sent together, as one message to Postgres with one answer.

The time of a small batch is that of its messages, a tenth of a millisecond each, and of parsing
them, three times as much for a wide statement. So statements whose answers nobody needs are sent
together, and those that recur are prepared once in each connection.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from node.postgres.connection import Connection, Cursor

_PLACE = re.compile(r"%s::([a-z]+(?:\[\])?)")


class Prepared:
    """SQL with the type at each placeholder, `%s::text[]`; each connection prepares it once."""

    def __init__(self, name: str, sql: str) -> None:
        types = _PLACE.findall(sql)
        numbers = count(1)
        body = _PLACE.sub(lambda _: f"${next(numbers)}", sql)
        self.name = name
        self.preparation = f"prepare {name} {_list(types)} as {body}"
        self.execution = f"execute {name} {_list([f'%s::{kind}' for kind in types])}"


def _list(items: Sequence[str]) -> str:
    return f"({', '.join(items)})" if items else ""


class Statement(NamedTuple):
    """SQL and the values of its placeholders."""

    sql: str | Prepared
    values: Sequence[object] = ()


# What a connection has prepared survives its rollbacks.
_prepared: WeakKeyDictionary[Connection, set[str]] = WeakKeyDictionary()


def run(cursor: Cursor, statements: Iterable[Statement]) -> None:
    """Execute the statements in their order; the cursor has the result of the last one."""
    message = b";".join(cursor.mogrify(_ready(cursor, sql), values) for sql, values in statements)
    if message:
        cursor.execute(message)


def _ready(cursor: Cursor, sql: str | Prepared) -> str:
    if isinstance(sql, str):
        return sql
    known = _prepared.setdefault(cursor.connection, set())
    if sql.name not in known:
        cursor.execute(sql.preparation)
        known.add(sql.name)
    return sql.execution


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Return the columns of `rows`, of which there is at least one, as arrays for `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)]


def read_value(cursor: Cursor, query: str, values: Any = None) -> Any:
    """Return the first column of the first row; None if there is no row."""
    cursor.execute(query, values)
    row = cursor.fetchone()
    return row[0] if row else None


def read_rows(cursor: Cursor, query: str, values: Any = None) -> list[dict[str, Any]]:
    cursor.execute(query, values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def query_rows(connection: Connection, query: str, values: Any = None) -> list[dict[str, Any]]:
    """Do `read_rows` in a transaction of its own."""
    with connection, connection.cursor() as cursor:
        return read_rows(cursor, query, values)
