"""The facets 侧表 of cases: deadlines, evaluations and supervisions, a row each, for queries.

They repeat what the fold holds. Only what a batch changed is written: rows that are new or
different are upserted, rows that a new fold no longer has are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from cases.case import Case
from cases.rules.identity import REPEAT
from node.postgres.connection import Cursor
from node.postgres.statements import Statement, run
from node.postgres.table import BOOLEAN, INSTANT, INT4_ARRAY, TEXT, UUID, WORD, Columns, Table

_Before = Case
_After = Case
_Key = tuple[str, ...]
_OFFICE = "office"


class _Facet(NamedTuple):
    """One table: what of a case its rows come from, and how they do, by key."""

    table: Table
    key: dict[str, str]
    source: Callable[[Case], Any]
    rows: Callable[[Case], dict[_Key, tuple[Any, ...]]]


def _facet(
    table: str,
    key: dict[str, str],
    columns: Columns,
    source: Callable[[Case], Any],
    rows: Callable[[Case], dict[_Key, tuple[Any, ...]]],
) -> _Facet:
    """`key` maps its columns to their SQL types."""
    return _Facet(Table(table, columns, [*key]), key, source, rows)


class Difference(NamedTuple):
    """What of one table changes with a case: rows packed for COPY, and keys of those that go."""

    changed: list[bytes]
    gone: list[_Key]


Packed = Sequence[Difference]  # one for each table


def packed(before: Case, after: Case) -> Packed:
    """What `write` would do with this change, made ready outside a transaction."""
    differences = []
    for facet in _FACETS:
        changed, gone = _difference(facet, before, after)
        differences.append(Difference([*map(facet.table.pack, changed)], gone))
    return differences


def write(
    cursor: Cursor, changes: Sequence[tuple[_Before, _After]], ready: Sequence[Packed] = ()
) -> None:
    """Bring the facets of changed cases up to date, in the caller's transaction."""
    statements: list[Statement] = []
    for facet, *differences in zip(_FACETS, *ready, strict=True):
        statements += _statements(cursor, facet, changes, differences)
    run(cursor, statements)


def _statements(
    cursor: Cursor,
    facet: _Facet,
    changes: Sequence[tuple[_Before, _After]],
    ready: Sequence[Difference],
) -> Iterator[Statement]:
    changed: list[tuple[Any, ...]] = []
    gone = [key for one in ready for key in one.gone]
    for before, after in changes:
        differing, vanished = _difference(facet, before, after)
        changed += differing
        gone += vanished
    if gone:
        yield _deletion(facet, gone)
    rows = [row for one in ready for row in one.changed]
    if rows:
        yield facet.table.upsert_packed(cursor, [*rows, *map(facet.table.pack, changed)])
    elif changed:
        yield facet.table.upsert(cursor, changed)


def _difference(
    facet: _Facet, before: Case, after: Case
) -> tuple[list[tuple[Any, ...]], list[_Key]]:
    """Rows that are new or differ, and the keys that a new fold no longer has."""
    if facet.source(before) == facet.source(after):
        return [], []
    old, new = facet.rows(before), facet.rows(after)
    changed = [row for key, row in new.items() if old.get(key) != row]
    return changed, [key for key in old if key not in new]


def _deletion(facet: _Facet, keys: Sequence[_Key]) -> Statement:
    arrays = ", ".join(f"%s::{kind}[]" for kind in facet.key.values())
    sql = (
        f"delete from {facet.table.name} where ({', '.join(facet.key)}) in "
        f"(select * from unnest({arrays}))"
    )
    return Statement(sql, [[*column] for column in zip(*keys, strict=True)])


def _clocks(case: Case) -> dict[_Key, tuple[Any, ...]]:
    return {(case.case_id, one.clock, one.event_id): (case.case_id, *one) for one in case.clocks}


def _evaluations(case: Case) -> dict[_Key, tuple[Any, ...]]:
    return {
        (case.case_id, about): (
            *(case.case_id, about, result),
            *(case.dissatisfactions.get(about, ""), case.evaluated_at[about]),
            case.registered_by if about == _OFFICE else case.handled_by,
            case.finding == REPEAT,
        )
        for about, result in case.evaluations.items()
    }


def _supervisions(case: Case) -> dict[_Key, tuple[Any, ...]]:
    return {
        (key,): (
            *(key, case.case_id, one["kind"], tuple(one["grounds"]), one["by"], one["to"]),
            *(one["issued_at"], one["due_at"], one["replied_at"], one["lifted_at"]),
        )
        for key, one in case.supervisions.items()
    }


_FACETS = (
    _facet(
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
    _facet(
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
    _facet(
        "case_supervision",
        {"supervision_id": "uuid"},
        {
            "supervision_id": UUID,
            "case_id": TEXT,
            "kind": TEXT,
            "grounds": INT4_ARRAY,
            "issued_by": WORD,
            "node": WORD,
            "issued_at": INSTANT,
            "due_at": INSTANT,
            "replied_at": INSTANT,
            "lifted_at": INSTANT,
        },
        attrgetter("supervisions"),
        _supervisions,
    ),
)
