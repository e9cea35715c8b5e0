"""Rows of `petition_case` 信访件行: a case as its columns, and how rows are written.

A row that is changed carries its count of writes, `revision`: one more than the row that it takes
the place of, so that nobody writes over what he has not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from cases.case import Case, State
from node.postgres.connection import Cursor
from node.postgres.statements import run
from node.postgres.table import (
    BOOLEAN,
    INSTANT,
    INT4,
    INT8,
    JSONB,
    TEXT,
    TEXT_ARRAY,
    WORD,
    Columns,
    Table,
)


class Row(NamedTuple):
    """A row: the case, its count of writes, when it first crossed to here (micros)."""

    case: Case
    revision: int
    exchanged_at: int | None


_COLUMNS: Columns = {
    "case_id": TEXT,
    "state": WORD,
    "registered_by": WORD,
    "handled_by": WORD,
    "participants": TEXT_ARRAY,
    "channel": TEXT,
    "title": TEXT,
    "area": TEXT,
    "content_category_1": TEXT,
    "content_category_2": TEXT,
    "content_category_3": TEXT,
    "petition_class": TEXT,
    "claim_path": TEXT,
    "rule_set": WORD,
    "persons": INT4,
    "urgent": BOOLEAN,
    "finding": WORD,
    "repeat_of": TEXT,
    "is_group": BOOLEAN,
    "identity_digest": TEXT,
    "outcome": WORD,
    "received_at": INSTANT,
    "registered_at": INSTANT,
    "accepted_at": INSTANT,
    "decided_at": INSTANT,
    "served_at": INSTANT,
    "closed_at": INSTANT,
    "exchanged_at": INSTANT,
    "version": INT8,
    "conflicts": INT4,
    "incomplete": BOOLEAN,
    "revision": INT8,
    "fold": JSONB,
}
_CASES = Table(
    "petition_case",
    _COLUMNS,
    key=("case_id",),
    once=("exchanged_at",),  # when a case first crossed to this node is noted once
    where="where petition_case.revision = excluded.revision - 1",
)


def packed(row: Row) -> bytes:
    """A row for `add` and `put_packed`."""
    return _CASES.pack(_values(row))


def add(cursor: Cursor, rows: Iterable[bytes]) -> bool:
    """Write rows that are all new, straight; False if one was not, and the transaction is lost."""
    try:
        _CASES.copy(cursor, rows)
    except UniqueViolation:
        return False
    return True


def put(cursor: Cursor, rows: Sequence[Row]) -> int:
    """Write rows that are new, or of the revision before; how many there were of those."""
    if not rows:
        return 0
    run(cursor, [_CASES.upsert(cursor, [*map(_values, rows)])])
    return cursor.rowcount


def put_packed(cursor: Cursor, rows: Iterable[bytes]) -> int:
    """As `put`, for many."""
    run(cursor, [_CASES.upsert_packed(cursor, rows)])
    return cursor.rowcount


def _values(row: Row) -> tuple[Any, ...]:
    """In the order of the columns."""
    case, revision, exchanged_at = row
    shown, since = case.registration.get, case.milestones.get
    return (
        case.case_id,
        case.state,
        case.registered_by,
        case.handled_by,
        case.participants,
        shown("channel"),
        shown("title"),
        shown("area"),
        shown("content_category_1"),
        shown("content_category_2"),
        shown("content_category_3"),
        shown("petition_class"),
        shown("claim_path"),
        case.rule_set or None,
        shown("persons") or 1,
        case.urgent,
        case.finding,
        case.repeat_of,
        case.group,
        shown("identity_digest"),
        case.outcome,
        shown("received_at"),
        since(State.REGISTERED),
        since(State.ACCEPTED),
        since(State.DECIDED),
        since(State.SERVED),
        since(State.CLOSED),
        exchanged_at,
        case.version,
        len(case.conflicts),
        case.incomplete,
        revision,
        orjson.dumps(case.to_json()),
    )
