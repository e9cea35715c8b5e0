"""The projection 信访件投影: folding new events into the rows of `petition_case`.

Runs inside the transaction that wrote the events to the ledger, and holds the rows of their
cases until it ends: that is what serialises everybody who changes a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from cases.case import Case, State
from cases.fold import continues, extend, fold
from node import copying, facets, ledger
from node.errors import Transient
from node.postgres import Cursor
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


NOTHING: Final[Mapping[str, Case]] = MappingProxyType({})


class _Held(NamedTuple):
    case: Case
    revision: int


class Row(NamedTuple):
    """A row of `petition_case`: the case, its count of writes, when it first crossed to here."""

    case: Case
    revision: int
    exchanged_at: int | None


_COLUMNS = (
    "case_id, state, registered_by, handled_by, participants, channel, title, area, "
    "content_category_1, content_category_2, content_category_3, petition_class, claim_path, "
    "rule_set, persons, urgent, finding, repeat_of, is_group, identity_digest, outcome, "
    "received_at, registered_at, accepted_at, decided_at, served_at, closed_at, exchanged_at, "
    "version, conflicts, incomplete, revision, fold"
)
_COLUMN_COUNT = _COLUMNS.count(",") + 1
_LOCK = (
    "select case_id, revision, fold from petition_case where case_id = any(%s) "
    "order by case_id for update"
)
_CREATE_FOLDED = copying.temporary("folded_case", "petition_case", _COLUMNS)
# When a case first crossed to this node is noted once.
_ALL_BUT_KEY = _COLUMNS.removeprefix("case_id, ").replace("exchanged_at, ", "")
_EXCLUDED = ", ".join(f"excluded.{name}" for name in _ALL_BUT_KEY.split(", "))
_UPSERT = (
    f"insert into petition_case ({_COLUMNS}) select {_COLUMNS} from folded_case "
    f"on conflict (case_id) do update set ({_ALL_BUT_KEY}) = ({_EXCLUDED}) "
    "where petition_case.revision = excluded.revision - 1"
)


def lock(cursor: Cursor, case_id: str) -> Case | None:
    """The case as it stands, its row held until the transaction ends; None if unknown here."""
    held = _hold(cursor, [case_id]).get(case_id)
    return held and held.case


def lock_all(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Case]:
    """As `lock` for several cases, in the order of their ids; unknown ones are left out."""
    return {case_id: held.case for case_id, held in _hold(cursor, case_ids).items()}


def apply(
    cursor: Cursor,
    events: Sequence[Event],
    exchanged_at: int | None = None,
    folded: Mapping[str, Case] = NOTHING,
    home: str = "",
) -> list[Change]:
    """Fold events that were new to the ledger into their cases; one read, one write.

    Events must be in the ledger already: a case whose order they disturb is folded anew from
    there. `exchanged_at` (micros) is when they crossed to this node, None for its own; what `home`
    emitted has not crossed. `folded` are new cases that the caller has folded already, from all of
    these events. Raises `Transient` if a
    case was created beside us: run the transaction again.
    """
    if not events:
        return []
    by_case: dict[str, list[Event]] = {}
    for event in events:
        by_case.setdefault(event.case_id, []).append(event)
    held = _hold(cursor, by_case)
    changes = _folded(cursor, by_case, held, folded)
    _write(cursor, changes, held, exchanged_at, home)
    facets.write(cursor, [(change.before, change.after) for change in changes])
    return changes


def _hold(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, _Held]:
    cursor.execute(_LOCK, ([*case_ids],))
    return {
        case_id: _Held(Case.from_json(folded), revision) for case_id, revision, folded in cursor
    }


def _folded(
    cursor: Cursor,
    by_case: dict[str, list[Event]],
    held: dict[str, _Held],
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
    held: dict[str, _Held],
    exchanged_at: int | None,
    home: str,
) -> None:
    rows = []
    for change in changes:
        before = held.get(change.after.case_id)
        crossed = exchanged_at if any(one.emitter != home for one in change.events) else None
        rows.append(Row(change.after, before.revision + 1 if before else 1, crossed))
    known = [row for row in rows if row.revision > 1]
    new = [row for row in rows if row.revision == 1]
    if put(cursor, known) != len(known) or _add(cursor, new) != len(new):
        raise Transient("a case was created by another transaction at the same moment")


def _add(cursor: Cursor, rows: Sequence[Row]) -> int:
    """Write rows that are all new, straight; 0 if one was not, and the transaction is lost."""
    if not rows:
        return 0
    try:
        copying.copy(cursor, "petition_case", _COLUMNS, map(_cells, rows))
    except UniqueViolation:
        return 0
    return len(rows)


def put(cursor: Cursor, rows: Sequence[Row]) -> int:
    """Write rows that are new, or of the revision before; how many there were of those."""
    if not rows:
        return 0
    cursor.execute(_CREATE_FOLDED)
    copying.copy(cursor, "folded_case", _COLUMNS, map(_cells, rows))
    cursor.execute(_UPSERT)
    return cursor.rowcount


def _cells(row: Row) -> bytes:
    case, revision, exchanged_at = row
    shown, since = case.registration.get, case.milestones.get
    cells = (
        copying.text(case.case_id),
        copying.word(case.state),
        copying.word(case.registered_by),
        copying.word(case.handled_by),
        copying.text_array(case.participants),
        copying.text_or_null(shown("channel")),
        copying.text_or_null(shown("title")),
        copying.text_or_null(shown("area")),
        copying.text_or_null(shown("content_category_1")),
        copying.text_or_null(shown("content_category_2")),
        copying.text_or_null(shown("content_category_3")),
        copying.text_or_null(shown("petition_class")),
        copying.text_or_null(shown("claim_path")),
        copying.word(case.rule_set or None),
        copying.int4(shown("persons") or 1),
        copying.boolean(case.urgent),
        copying.word(case.finding),
        copying.text_or_null(case.repeat_of),
        copying.boolean(case.group),
        copying.text_or_null(shown("identity_digest")),
        copying.word(case.outcome),
        copying.instant(shown("received_at")),
        copying.instant(since(State.REGISTERED)),
        copying.instant(since(State.ACCEPTED)),
        copying.instant(since(State.DECIDED)),
        copying.instant(since(State.SERVED)),
        copying.instant(since(State.CLOSED)),
        copying.instant(exchanged_at),
        copying.int8(case.version),
        copying.int4(len(case.conflicts)),
        copying.boolean(case.incomplete),
        copying.int8(revision),
        copying.jsonb(orjson.dumps(case.to_json())),
    )
    return copying.row(cells, _COLUMN_COUNT)
