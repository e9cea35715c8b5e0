"""Rows of `petition_case` 信访件行: a case as its columns, and the ways in which rows are written.

Each write of a row raises its `revision` by one, so that nobody overwrites a row that changed after
it was read.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from cases.case import Case, State
from node.postgres import table
from node.postgres.connection import Cursor
from node.postgres.statements import run
from node.postgres.table import Columns, Table


class CaseRow(NamedTuple):
    """A case, the revision of its row, and when it first reached this node (micros)."""

    case: Case
    revision: int
    exchanged_at: int | None


# Columns with the value of the attribute of a `Case` of the same name.
_ATTRIBUTES: Columns = {
    "case_id": table.TEXT,
    "state": table.WORD,
    "registered_by": table.WORD,
    "handled_by": table.WORD,
    "participants": table.TEXT_ARRAY,
    "urgent": table.BOOLEAN,
    "finding": table.WORD,
    "repeat_of": table.TEXT,
    "outcome": table.WORD,
    "version": table.INT8,
    "incomplete": table.BOOLEAN,
}
_REGISTERED = (
    *("channel", "title", "area", "content_category_1", "content_category_2"),
    *("content_category_3", "petition_class", "claim_path", "identity_digest"),
)
_MILESTONES = {
    "registered_at": State.REGISTERED,
    "accepted_at": State.ACCEPTED,
    "decided_at": State.DECIDED,
    "served_at": State.SERVED,
    "closed_at": State.CLOSED,
}
_OTHERS: Columns = {
    "received_at": table.INSTANT,
    "persons": table.INT4,
    "rule_set": table.WORD,
    "is_group": table.BOOLEAN,
    "conflicts": table.INT4,
    "fold": table.JSONB,
    "exchanged_at": table.INSTANT,
    "revision": table.INT8,
}
_CASES = Table(
    "petition_case",
    {
        **_ATTRIBUTES,
        **dict.fromkeys(_REGISTERED, table.TEXT),
        **dict.fromkeys(_MILESTONES, table.INSTANT),
        **_OTHERS,
    },
    key=("case_id",),
    once=("exchanged_at",),  # the first time counts
    where="where petition_case.revision = excluded.revision - 1",
)
_attributes_of = attrgetter(*_ATTRIBUTES)


def packed(row: CaseRow) -> bytes:
    """Pack a row for `add` and `put_packed`."""
    return _CASES.pack(_values(row))


def add(cursor: Cursor, rows: Iterable[bytes]) -> bool:
    """COPY rows that are all new; return False if one was not, and the transaction is lost."""
    try:
        _CASES.copy(cursor, rows)
    except UniqueViolation:
        return False
    return True


def put(cursor: Cursor, rows: Sequence[CaseRow]) -> int:
    """Write rows that are new or still at the revision before; return their number."""
    if not rows:
        return 0
    run(cursor, [_CASES.upsert(cursor, [*map(_values, rows)])])
    return cursor.rowcount


def put_packed(cursor: Cursor, rows: Iterable[bytes]) -> int:
    """Write many packed rows as `put` does."""
    run(cursor, [_CASES.upsert_packed(cursor, rows)])
    return cursor.rowcount


def _values(row: CaseRow) -> tuple[Any, ...]:
    case, revision, exchanged_at = row
    registered = case.registration.get
    return (
        *_attributes_of(case),
        *map(registered, _REGISTERED),
        *map(case.milestones.get, _MILESTONES.values()),
        registered("received_at"),
        registered("persons") or 1,
        case.rule_set or None,
        case.group,
        len(case.conflicts),
        orjson.dumps(case.to_json()),
        exchanged_at,
        revision,
    )
