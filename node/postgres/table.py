"""Tables 数据表 that the node writes: each `Table` declares its columns once.

Many rows are sent by binary COPY: straight into the table, or through a temporary table if some of
them may exist already. Few are sent as JSON in the statement, because a temporary table costs more
than a few rows do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import call
from typing import Any, NamedTuple

import orjson

from node.postgres import copy_binary
from node.postgres.connection import Cursor
from node.postgres.statements import Prepared, Statement
from schemas.instants import utc_of

# For one row JSON takes half the time, for hundreds COPY does; the crossover was not measured.
MAX_ROWS_IN_STATEMENT = 24


class ColumnType(NamedTuple):
    """A column's conversions: `cell` for COPY, `plain` for JSON (None: the value itself)."""

    cell: Callable[[Any], bytes]
    plain: Callable[[Any], Any] | None = None


def _instant(micros: int | None) -> str | None:
    return None if micros is None else utc_of(micros)


# All but UUID, BOOLEAN, DATE, BYTEA and the arrays may be NULL.
TEXT = ColumnType(copy_binary.text)
WORD = ColumnType(copy_binary.word)
UUID = ColumnType(copy_binary.uuid)
INT4 = ColumnType(copy_binary.int4)
INT8 = ColumnType(copy_binary.int8)
BOOLEAN = ColumnType(copy_binary.boolean)
DATE = ColumnType(copy_binary.date)
INSTANT = ColumnType(copy_binary.instant, _instant)
TEXT_ARRAY = ColumnType(copy_binary.text_array)
INT4_ARRAY = ColumnType(copy_binary.int4_array)
# The value is JSON text already.
JSONB = ColumnType(copy_binary.jsonb, orjson.Fragment)
BYTEA = ColumnType(copy_binary.raw, lambda value: f"\\x{value.hex()}")

Columns = Mapping[str, ColumnType]
Values = Sequence[Any]  # the values of a row, in the order of the columns


class Table:
    """A table with the columns that are written, in the order of the values of a row."""

    def __init__(
        self,
        name: str,
        columns: Columns,
        key: Sequence[str] = (),
        once: Sequence[str] = (),
        where: str = "",
    ) -> None:
        """`key`, `once` and `where` are for `upsert`: the columns that identify a row, those that
        keep their first value, and a condition on the rows that are changed."""
        self.name = name
        self.columns = ", ".join(columns)
        self._cells = [kind.cell for kind in columns.values()]
        self._count = copy_binary.count(len(columns))
        self._plain = [(column, kind.plain) for column, kind in columns.items()]
        self._staged = f"changed_{name}"
        # It has no constraints: they are checked when its rows are written to the table.
        self._stage = (
            f"create temporary table if not exists {self._staged} on commit delete rows as "
            f"select {self.columns} from {name} with no data"
        )
        insert = f"insert into {name} ({self.columns}) select {self.columns} from"
        json_rows = f"json_populate_recordset(null::{name}, %s::json)"
        update = _update(columns, key, once, where)
        self._insert = Prepared(f"insert_{name}", f"{insert} {json_rows}")
        self._upsert = Prepared(f"upsert_{name}", f"{insert} {json_rows} {update}")
        self._upsert_staged = f"{insert} {self._staged} {update}"

    def pack(self, row: Values) -> bytes:
        """Return a row in the form of binary COPY; it may be made before the transaction."""
        return self._count + b"".join(map(call, self._cells, row))

    def copy(self, cursor: Cursor, packed: Iterable[bytes], before: str = "") -> None:
        """COPY rows that are all new straight into the table.

        `before` is a statement that is sent in the same message.
        """
        copy_binary.copy(cursor, self.name, self.columns, packed, before)

    def insert(self, cursor: Cursor, rows: Sequence[Values]) -> list[Statement]:
        """Add new rows in their order: many are copied now, few by the returned statement."""
        if len(rows) > MAX_ROWS_IN_STATEMENT:
            self.copy(cursor, map(self.pack, rows))
            return []
        return [self._with_json(self._insert, rows)] if rows else []

    def upsert(self, cursor: Cursor, rows: Sequence[Values]) -> Statement:
        """Return the statement that inserts rows, or updates those whose key exists.

        Many rows are staged now, in a temporary table that the statement reads.
        """
        if len(rows) > MAX_ROWS_IN_STATEMENT:
            return self.upsert_packed(cursor, map(self.pack, rows))
        return self._with_json(self._upsert, rows)

    def upsert_packed(self, cursor: Cursor, packed: Iterable[bytes]) -> Statement:
        """Do as `upsert` for packed rows, which are always staged."""
        cursor.execute(self._stage)
        copy_binary.copy(cursor, self._staged, self.columns, packed)
        return Statement(self._upsert_staged)

    def _with_json(self, sql: Prepared, rows: Sequence[Values]) -> Statement:
        return Statement(sql, (orjson.dumps([*map(self._object, rows)]).decode(),))

    def _object(self, row: Values) -> dict[str, Any]:
        return {
            column: value if plain is None else plain(value)
            for (column, plain), value in zip(self._plain, row, strict=True)
        }


def _update(columns: Columns, key: Sequence[str], once: Sequence[str], where: str) -> str:
    rest = [column for column in columns if column not in (*key, *once)]
    return (
        f"on conflict ({', '.join(key)}) do update set ({', '.join(rest)}) = "
        f"row({', '.join(f'excluded.{column}' for column in rest)}) {where}"
    )
