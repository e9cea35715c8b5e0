"""The projection 信访件投影: folding new events into the rows of `petition_case`.

Runs inside the transaction that wrote the events to the ledger, and holds the rows of their
cases until it ends: that is what serialises everybody who changes a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from cases.case import Case, State
from cases.fold import continues, extend, fold
from node import copying, facets, ledger
from node.errors import Transient
from node.postgres import Cursor
from node.statements import Prepared, Statement, run
from node.upserting import (
    BOOLEAN,
    FEW,
    INSTANT,
    INT4,
    INT8,
    JSONB,
    TEXT,
    TEXT_ARRAY,
    WORD,
    Columns,
    Upsert,
)
from schemas.event import Event


class Change(NamedTuple):
    """A case that new events changed: before, after, and those events."""

    before: Case
    after: Case
    events: list[Event]

    @property
    def conflicts(self) -> int:
        """How many of the new events are conflicts."""
        marked = {conflict.event_id for conflict in self.after.conflicts}
        return sum(event.event_id in marked for event in self.events)


class Held(NamedTuple):
    """A case and the count of writes of its row."""

    case: Case
    revision: int


NOTHING: Final[Mapping[str, Case]] = MappingProxyType({})


class Known(NamedTuple):
    """What the caller of `apply` knows before: `folded`, new cases folded from all of the events;
    `held`, all that `hold` gave of their cases, unless nobody holds them yet."""

    folded: Mapping[str, Case] = NOTHING
    held: Mapping[str, Held] | None = None


UNKNOWN: Final = Known()


class Row(NamedTuple):
    """A row of `petition_case`: the case, its count of writes, when it first crossed to here."""

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
_UPSERT = Upsert(
    "petition_case",
    _COLUMNS,
    key=("case_id",),
    once=("exchanged_at",),  # when a case first crossed to this node is noted once
    where="where petition_case.revision = excluded.revision - 1",
)
_LOCK = (
    "select case_id, revision, fold from petition_case where case_id = any(%s::text[]) "
    "order by case_id for update"
)
# Prepared, Postgres soon plans for ten cases, however many they are.
_LOCK_FEW = Prepared("hold_cases", _LOCK)


def hold(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Held]:
    """These cases as they stand, in the order of their ids, their rows held until the transaction
    ends; those unknown here are left out."""
    ids = [*case_ids]
    run(cursor, [Statement(_LOCK if len(ids) > FEW else _LOCK_FEW, (ids,))])
    return {case_id: Held(Case.from_json(folded), revision) for case_id, revision, folded in cursor}


def apply(
    cursor: Cursor,
    events: Sequence[Event],
    exchanged_at: int | None = None,
    known: Known = UNKNOWN,
    home: str = "",
) -> list[Change]:
    """Fold events that were new to the ledger into their cases; one read, one write.

    Events must be in the ledger already: a case whose order they disturb is folded anew from
    there. `exchanged_at` (micros) is when they crossed to this node, None for its own; what `home`
    emitted has not crossed. Raises `Transient` if a case was created beside us: run the transaction
    again.
    """
    if not events:
        return []
    by_case: dict[str, list[Event]] = {}
    for event in events:
        by_case.setdefault(event.case_id, []).append(event)
    held = hold(cursor, by_case) if known.held is None else known.held
    changes = _folded(cursor, by_case, held, known.folded)
    _write(cursor, changes, held, exchanged_at, home)
    facets.write(cursor, [(change.before, change.after) for change in changes])
    return changes


def _folded(
    cursor: Cursor,
    by_case: dict[str, list[Event]],
    held: Mapping[str, Held],
    folded: Mapping[str, Case],
) -> list[Change]:
    changes, disturbed = [], []
    for case_id, events in by_case.items():
        before = held[case_id].case if case_id in held else Case(case_id)
        if case_id in folded and case_id not in held:
            changes.append(Change(before, folded[case_id], events))
        elif continues(before, events):
            changes.append(Change(before, extend(before, events), events))
        else:
            disturbed.append(Change(before, before, events))
    if disturbed:
        all_events = ledger.read(cursor, [change.before.case_id for change in disturbed])
        for before, _, events in disturbed:
            after = fold(before.case_id, all_events[before.case_id])
            changes.append(Change(before, after, events))
    return changes


def _write(
    cursor: Cursor,
    changes: Sequence[Change],
    held: Mapping[str, Held],
    exchanged_at: int | None,
    home: str,
) -> None:
    rows = []
    for change in changes:
        before = held.get(change.after.case_id)
        crossed = exchanged_at if any(one.emitter != home for one in change.events) else None
        rows.append(Row(change.after, before.revision + 1 if before else 1, crossed))
    few = len(rows) <= FEW
    straight = [] if few else [row for row in rows if row.revision == 1]
    rest = rows if few else [row for row in rows if row.revision > 1]
    if put(cursor, rest) != len(rest) or _add(cursor, straight) != len(straight):
        raise Transient("a case was created by another transaction at the same moment")


def _add(cursor: Cursor, rows: Sequence[Row]) -> int:
    """Write rows that are all new, straight; 0 if one was not, and the transaction is lost."""
    if not rows:
        return 0
    cells = (_UPSERT.cells(_values(row)) for row in rows)
    try:
        copying.copy(cursor, "petition_case", _UPSERT.names, cells)
    except UniqueViolation:
        return 0
    return len(rows)


def put(cursor: Cursor, rows: Sequence[Row]) -> int:
    """Write rows that are new, or of the revision before; how many there were of those."""
    if not rows:
        return 0
    run(cursor, [_UPSERT.statement(cursor, [*map(_values, rows)])])
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
