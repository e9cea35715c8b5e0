"""The details 侧表 of cases: a row for each deadline, evaluation and supervision, for queries.

They repeat parts of the fold. Only changes are written: rows that are new or different are
upserted, rows that a new fold no longer has are deleted.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from cases.case import Case
from cases.rules.identity import REPEAT
from node.postgres.connection import Cursor
from node.postgres.statements import Statement, columns, run
from node.postgres.table import BOOLEAN, INSTANT, INT4_ARRAY, TEXT, UUID, WORD, Columns, Table

_Key = tuple[str, ...]
_Rows = dict[_Key, tuple[Any, ...]]
_OFFICE = "office"
_SUPERVISION_INSTANTS = ("issued_at", "due_at", "replied_at", "lifted_at")


class _Detail:
    """A table, and the functions that give its rows by key, and the part of a case they show."""

    def __init__(
        self,
        name: str,
        key: dict[str, str],
        types: Columns,
        source: Callable[[Case], Any],
        rows: Callable[[Case], _Rows],
    ) -> None:
        """`key` has the SQL types of its columns."""
        self.table = Table(name, types, [*key])
        self.key = key
        self.source = source
        self.rows = rows


class DetailChanges(NamedTuple):
    """The changes of one table: rows packed for COPY, and the keys of rows to delete."""

    changed: list[bytes]
    gone: list[_Key]


PackedDetails = Sequence[DetailChanges]  # one for each table


def packed(before: Case, after: Case) -> PackedDetails:
    """Return what `write` would do with this change; needs no transaction."""
    changes = []
    for detail in _DETAILS:
        changed, gone = _difference(detail, before, after)
        changes.append(DetailChanges([*map(detail.table.pack, changed)], gone))
    return changes


def write(
    cursor: Cursor, changes: Sequence[tuple[Case, Case]], ready: Sequence[PackedDetails] = ()
) -> None:
    """Update the details of cases that changed, given as before and after or `packed` already."""
    statements: list[Statement] = []
    for detail, *packed_changes in zip(_DETAILS, *ready, strict=True):
        statements += _statements(cursor, detail, changes, packed_changes)
    run(cursor, statements)


def _statements(
    cursor: Cursor,
    detail: _Detail,
    changes: Sequence[tuple[Case, Case]],
    ready: Sequence[DetailChanges],
) -> Iterator[Statement]:
    changed: list[tuple[Any, ...]] = []
    gone = [key for change in ready for key in change.gone]
    for before, after in changes:
        differing, vanished = _difference(detail, before, after)
        changed += differing
        gone += vanished
    if gone:
        yield _deletion(detail, gone)
    rows = [row for change in ready for row in change.changed]
    if rows:
        yield detail.table.upsert_packed(cursor, [*rows, *map(detail.table.pack, changed)])
    elif changed:
        yield detail.table.upsert(cursor, changed)


def _difference(
    detail: _Detail, before: Case, after: Case
) -> tuple[list[tuple[Any, ...]], list[_Key]]:
    """Return the rows that are new or differ, and the keys that a new fold no longer has."""
    if detail.source(before) == detail.source(after):
        return [], []
    old, new = detail.rows(before), detail.rows(after)
    changed = [row for key, row in new.items() if old.get(key) != row]
    return changed, [key for key in old if key not in new]


def _deletion(detail: _Detail, keys: Sequence[_Key]) -> Statement:
    arrays = ", ".join(f"%s::{kind}[]" for kind in detail.key.values())
    sql = (
        f"delete from {detail.table.name} where ({', '.join(detail.key)}) in "
        f"(select * from unnest({arrays}))"
    )
    return Statement(sql, columns(keys))


def _clocks(case: Case) -> _Rows:
    return {
        (case.case_id, clock.clock, clock.event_id): (case.case_id, *clock) for clock in case.clocks
    }


def _evaluations(case: Case) -> _Rows:
    return {
        (case.case_id, about): (
            *(case.case_id, about, result),
            *(case.dissatisfactions.get(about, ""), case.evaluated_at[about]),
            case.registered_by if about == _OFFICE else case.handled_by,
            case.finding == REPEAT,
        )
        for about, result in case.evaluations.items()
    }


def _supervisions(case: Case) -> _Rows:
    return {
        (key,): (
            *(key, case.case_id, issued["kind"], tuple(issued["grounds"])),
            *(issued[name] for name in ("by", "to", *_SUPERVISION_INSTANTS)),
        )
        for key, issued in case.supervisions.items()
    }


_DETAILS = (
    _Detail(
        "case_clock",
        {"case_id": "text", "clock": "text", "event_id": "uuid"},
        {
            "case_id": TEXT,
            "clock": TEXT,
            "event_id": UUID,
            "owner": WORD,
            "started_at": INSTANT,
            "due_at": INSTANT,
            "provisional": BOOLEAN,
            "calendar": TEXT,
            "met_at": INSTANT,
            "ended_at": INSTANT,
        },
        attrgetter("clocks"),
        _clocks,
    ),
    _Detail(
        "case_evaluation",
        {"case_id": "text", "object": "text"},
        {
            "case_id": TEXT,
            "object": TEXT,
            "result": TEXT,
            "reason": TEXT,
            "evaluated_at": INSTANT,
            "node": WORD,
            "repeat": BOOLEAN,
        },
        attrgetter(
            *("evaluations", "dissatisfactions", "evaluated_at"),
            *("registered_by", "handled_by", "finding"),
        ),
        _evaluations,
    ),
    _Detail(
        "case_supervision",
        {"supervision_id": "uuid"},
        {
            "supervision_id": UUID,
            "case_id": TEXT,
            "kind": TEXT,
            "grounds": INT4_ARRAY,
            "issued_by": WORD,
            "node": WORD,
            **dict.fromkeys(_SUPERVISION_INSTANTS, INSTANT),
        },
        attrgetter("supervisions"),
        _supervisions,
    ),
)
