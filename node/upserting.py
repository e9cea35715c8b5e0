"""Upserting 写入 rows of which some may be there already: many by COPY, few as JSON.

COPY into a temporary table is the quickest way for many rows; making that table sure, and emptying
it at the commit, costs more than a few rows do. They are sent in the statement itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from node import copying
from node.postgres import Cursor
from node.statements import Prepared, Statement
from schemas.instants import utc_of

# For one row JSON takes half the time, for hundreds COPY does; where they meet was not measured.
FEW = 24


class Kind(NamedTuple):
    """How a value of a column's type is written for COPY, and in JSON."""

    cell: Callable[[Any], bytes]
    plain: Callable[[Any], Any] | None = None


def _instant(micros: int | None) -> str | None:
    return None if micros is None else utc_of(micros)


TEXT = Kind(copying.text_or_null)
WORD = Kind(copying.word)
UUID = Kind(copying.uuid)
INT4 = Kind(copying.int4)
INT8 = Kind(copying.int8)
BOOLEAN = Kind(copying.boolean)
INSTANT = Kind(copying.instant, _instant)
TEXT_ARRAY = Kind(copying.text_array)
INT4_ARRAY = Kind(copying.int4_array)
# The value is JSON text already.
JSONB = Kind(copying.jsonb, orjson.Fragment)

Columns = dict[str, Kind]


class Upsert:
    """Into one table; a row that is there already is changed but for its key."""

    def __init__(
        self,
        table: str,
        columns: Columns,
        key: Sequence[str],
        once: Sequence[str] = (),
        where: str = "",
    ) -> None:
        """`once` names columns that keep their first value; `where`, which rows are changed."""
        self.names = ", ".join(columns)
        self._cells = [kind.cell for kind in columns.values()]
        self._plain = [(name, kind.plain) for name, kind in columns.items()]
        self._staged = f"changed_{table}"
        self._stage = copying.temporary(self._staged, table, self.names)
        rest = [name for name in columns if name not in (*key, *once)]
        put = (
            f"insert into {table} ({self.names}) select {self.names} from %s "
            f"on conflict ({', '.join(key)}) do update set ({', '.join(rest)}) = "
            f"row({', '.join(f'excluded.{name}' for name in rest)}) {where}"
        )
        self._few = Prepared(
            f"upsert_{table}", put % f"json_populate_recordset(null::{table}, %s::json)"
        )
        self._many = put % self._staged

    def statement(self, cursor: Cursor, rows: Sequence[Sequence[Any]]) -> Statement:
        """What writes these rows, each in the order of the columns; many are staged right now."""
        if len(rows) > FEW:
            return self.staged(cursor, map(self.cells, rows))
        return Statement(self._few, (orjson.dumps([*map(self._object, rows)]).decode(),))

    def staged(self, cursor: Cursor, rows: Iterable[bytes]) -> Statement:
        """What writes these rows, staged right now; each is of `cells`."""
        cursor.execute(self._stage)
        copying.copy(cursor, self._staged, self.names, rows)
        return Statement(self._many)

    def cells(self, row: Sequence[Any]) -> bytes:
        """One row for COPY."""
        cells = [cell(value) for cell, value in zip(self._cells, row, strict=True)]
        return copying.row(cells, len(cells))

    def _object(self, row: Sequence[Any]) -> dict[str, Any]:
        return {
            name: value if plain is None else plain(value)
            for (name, plain), value in zip(self._plain, row, strict=True)
        }
