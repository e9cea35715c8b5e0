"""Reading what a query returns: one value, or rows as dictionaries."""

from typing import Any

from node.postgres.connection import Connection, Cursor


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
