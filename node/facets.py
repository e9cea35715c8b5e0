"""The facets 侧表 of cases: deadlines, evaluations and supervisions, a row each, for queries.

They repeat what the fold holds. Only what a batch changed is written: rows that are new or
different are upserted, rows that a new fold no longer has are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from cases.case import Case
from cases.rules.identity import REPEAT
from node import copying
from node.postgres import Cursor

_Before = Case
_After = Case
_Key = tuple[str, ...]
_OFFICE = "office"


class _Facet(NamedTuple):
    """One table: what of a case its rows come from, how they do, by key, and how they become
    cells."""

    table: str
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    columns: tuple[str, ...]
    source: Callable[[Case], Any]
    rows: Callable[[Case], dict[_Key, tuple[Any, ...]]]
    cells: Callable[[tuple[Any, ...]], tuple[bytes, ...]]


def write(cursor: Cursor, changes: Sequence[tuple[_Before, _After]]) -> None:
    """Bring the facets of changed cases up to date, in the caller's transaction."""
    for facet in _FACETS:
        changed, gone = _differences(facet, changes)
        if gone:
            _delete(cursor, facet, gone)
        if changed:
            _upsert(cursor, facet, changed)


def _differences(
    facet: _Facet, changes: Iterable[tuple[_Before, _After]]
) -> tuple[list[tuple[Any, ...]], list[_Key]]:
    changed: list[tuple[Any, ...]] = []
    gone: list[_Key] = []
    for before, after in changes:
        if facet.source(before) == facet.source(after):
            continue
        old, new = facet.rows(before), facet.rows(after)
        if old != new:
            changed += [row for key, row in new.items() if old.get(key) != row]
            gone += [key for key in old if key not in new]
    return changed, gone


def _upsert(cursor: Cursor, facet: _Facet, rows: Sequence[tuple[Any, ...]]) -> None:
    table, columns, count = facet.table, ", ".join(facet.columns), len(facet.columns)
    rest = [name for name in facet.columns if name not in facet.key]
    cursor.execute(copying.temporary(f"changed_{table}", table, columns))
    cells = (copying.row(facet.cells(row), count) for row in rows)
    copying.copy(cursor, f"changed_{table}", columns, cells)
    cursor.execute(
        f"insert into {table} ({columns}) select {columns} from changed_{table} "
        f"on conflict ({', '.join(facet.key)}) do update set ({', '.join(rest)}) = "
        f"row({', '.join(f'excluded.{name}' for name in rest)})"
    )


def _delete(cursor: Cursor, facet: _Facet, keys: Sequence[_Key]) -> None:
    arrays = ", ".join(f"%s::{kind}[]" for kind in facet.key_types)
    cursor.execute(
        f"delete from {facet.table} where ({', '.join(facet.key)}) in "
        f"(select * from unnest({arrays}))",
        [[*column] for column in zip(*keys, strict=True)],
    )


def _clocks(case: Case) -> dict[_Key, tuple[Any, ...]]:
    return {(case.case_id, one.clock, one.event_id): (case.case_id, *one) for one in case.clocks}


def _clock_cells(row: tuple[Any, ...]) -> tuple[bytes, ...]:
    case_id, clock, event_id, owner, started_at, due_at, provisional, calendar, met, ended = row
    return (
        copying.text(case_id),
        copying.text(clock),
        copying.uuid(event_id),
        copying.word(owner),
        copying.instant(started_at),
        copying.instant(due_at),
        copying.boolean(provisional),
        copying.text(calendar),
        copying.instant(met),
        copying.instant(ended),
    )


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


def _evaluation_cells(row: tuple[Any, ...]) -> tuple[bytes, ...]:
    *texts, evaluated_at, node, repeat = row
    return (
        *map(copying.text, texts),
        *(copying.instant(evaluated_at), copying.word(node), copying.boolean(repeat)),
    )


def _supervisions(case: Case) -> dict[_Key, tuple[Any, ...]]:
    return {
        (key,): (
            *(key, case.case_id, one["kind"], tuple(one["grounds"]), one["by"], one["to"]),
            *(one["issued_at"], one["due_at"], one["replied_at"], one["lifted_at"]),
        )
        for key, one in case.supervisions.items()
    }


def _supervision_cells(row: tuple[Any, ...]) -> tuple[bytes, ...]:
    key, case_id, kind, grounds, by, to, *instants = row
    return (
        copying.uuid(key),
        copying.text(case_id),
        copying.text(kind),
        copying.int4_array(grounds),
        copying.word(by),
        copying.word(to),
        *map(copying.instant, instants),
    )


_FACETS = (
    _Facet(
        "case_clock",
        ("case_id", "clock", "event_id"),
        ("text", "text", "uuid"),
        (
            *("case_id", "clock", "event_id", "owner", "started_at", "due_at"),
            *("provisional", "calendar", "met_at", "ended_at"),
        ),
        attrgetter("clocks"),
        _clocks,
        _clock_cells,
    ),
    _Facet(
        "case_evaluation",
        ("case_id", "object"),
        ("text", "text"),
        ("case_id", "object", "result", "reason", "evaluated_at", "node", "repeat"),
        attrgetter(
            *("evaluations", "dissatisfactions", "evaluated_at"),
            *("registered_by", "handled_by", "finding"),
        ),
        _evaluations,
        _evaluation_cells,
    ),
    _Facet(
        "case_supervision",
        ("supervision_id",),
        ("uuid",),
        (
            *("supervision_id", "case_id", "kind", "grounds", "issued_by", "node"),
            *("issued_at", "due_at", "replied_at", "lifted_at"),
        ),
        attrgetter("supervisions"),
        _supervisions,
        _supervision_cells,
    ),
)
