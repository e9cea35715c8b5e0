"""The projection 信访件投影: folding new events into the rows of `petition_case`.

Runs inside the transaction that wrote the events to the ledger, and holds the rows of their
cases until it ends: that is what serialises everybody who changes a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from cases.case import Case
from cases.fold import continues, extend, fold
from node import case_rows, facets, ledger
from node.case_rows import Row
from node.changes import Change, change_of
from node.errors import Transient
from node.postgres import Cursor
from node.statements import Prepared, Statement, run
from node.table import MAX_ROWS_IN_STATEMENT as FEW
from schemas.event import Event


class Step(NamedTuple):
    """A case before and after new events, and those."""

    before: Case
    after: Case
    events: list[Event]


class Held(NamedTuple):
    """A case and the count of writes of its row."""

    case: Case
    revision: int


class Stamp:
    """The xmin of a row, which Postgres gives it anew with each write, also that of a rebuild.

    None if there is no row, "" of a row that is not written yet.
    """

    __slots__ = ("value",)

    def __init__(self, value: str | None = "") -> None:
        self.value = value


class Foreseen(NamedTuple):
    """A change worked out and packed before its transaction (`node.foreseeing`).

    It comes true if the row of the case still has the stamp `base` then, and gives it `stamp`.
    """

    change: Change
    base: Stamp
    stamp: Stamp
    row: bytes
    facets: facets.Packed


NOTHING: Final[Mapping[str, Foreseen]] = MappingProxyType({})


class Known(NamedTuple):
    """What the caller of `apply` knows before: `foreseen`, changes by all of the events of their
    cases; `held`, all that `hold` gave of the others, unless nobody holds them yet."""

    foreseen: Mapping[str, Foreseen] = NOTHING
    held: Mapping[str, Held] | None = None


UNKNOWN: Final = Known()

_LOCK = (
    "select case_id, revision, fold from petition_case where case_id = any(%s::text[]) "
    "order by case_id for update"
)
_LOCK_AND_STAMP = """
    with held as (
        select case_id, xmin::text from petition_case where case_id = any(%s::text[])
        order by case_id for update
    )
    select * from held union all select null, pg_current_xact_id()::xid::text
"""
# Prepared, Postgres soon plans for ten cases, however many they are.
_LOCK_FEW = Prepared("hold_cases", _LOCK)


def hold(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Held]:
    """These cases as they stand, in the order of their ids, their rows held until the transaction
    ends; those unknown here are left out."""
    ids = [*case_ids]
    if not ids:
        return {}
    run(cursor, [Statement(_LOCK if len(ids) > FEW else _LOCK_FEW, (ids,))])
    return {case_id: Held(Case.from_json(folded), revision) for case_id, revision, folded in cursor}


def by_case(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each case, in their order."""
    grouped: dict[str, list[Event]] = {}
    for event in events:
        grouped.setdefault(event.case_id, []).append(event)
    return grouped


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
    grouped = by_case(events)
    come_true = _come_true(cursor, grouped, known.foreseen)
    rest = {case_id: some for case_id, some in grouped.items() if case_id not in come_true}
    held = hold(cursor, rest) if known.held is None else known.held
    steps = _folded(cursor, rest, held)
    sure = [*come_true.values()]
    _write(cursor, sure, [row_of(step, held, exchanged_at, home) for step in steps])
    facets.write(cursor, [step[:2] for step in steps], [one.facets for one in sure])
    return [*(one.change for one in sure), *(change_of(*step) for step in steps)]


def row_of(step: Step, held: Mapping[str, Held], exchanged_at: int | None, home: str) -> Row:
    """The row that a step makes of the one that is held; see `apply`."""
    before = held.get(step.after.case_id)
    crossed = exchanged_at if any(one.emitter != home for one in step.events) else None
    return Row(step.after, before.revision + 1 if before else 1, crossed)


def _come_true(
    cursor: Cursor, case_ids: Iterable[str], foreseen: Mapping[str, Foreseen]
) -> dict[str, Foreseen]:
    """What was foreseen and is so; the rows of all cases are held then, in one order."""
    if not foreseen:
        return {}
    run(cursor, [Statement(_LOCK_AND_STAMP, ([*case_ids],))])
    stamps: dict[str | None, str] = dict(cursor.fetchall())
    ours = stamps.pop(None)
    found = {
        case_id: one for case_id, one in foreseen.items() if one.base.value == stamps.get(case_id)
    }
    for one in found.values():
        one.stamp.value = ours  # should we fail, no row will ever have it
    return found


def _folded(
    cursor: Cursor, grouped: Mapping[str, list[Event]], held: Mapping[str, Held]
) -> list[Step]:
    steps, disturbed = [], []
    for case_id, events in grouped.items():
        before = held[case_id].case if case_id in held else Case(case_id)
        if continues(before, events):
            steps.append(Step(before, extend(before, events), events))
        else:
            disturbed.append(Step(before, before, events))
    if disturbed:
        all_events = ledger.read(cursor, [step.before.case_id for step in disturbed])
        for before, _, events in disturbed:
            after = fold(before.case_id, all_events[before.case_id])
            steps.append(Step(before, after, events))
    return steps


def _write(cursor: Cursor, sure: Sequence[Foreseen], rows: Sequence[Row]) -> None:
    if sure or len(rows) > FEW:
        written = _write_many(cursor, sure, rows)
    else:
        written = case_rows.put(cursor, rows) == len(rows)
    if not written:
        raise Transient("a case was created by another transaction at the same moment")


def _write_many(cursor: Cursor, sure: Sequence[Foreseen], rows: Sequence[Row]) -> bool:
    """New rows go straight to their table; False if one of all was not as it was held."""
    new = [one.row for one in sure if one.base.value is None]
    changed = [one.row for one in sure if one.base.value is not None]
    for row in rows:
        (new if row.revision == 1 else changed).append(case_rows.packed(row))
    if changed and case_rows.put_packed(cursor, changed) != len(changed):
        return False
    return not new or case_rows.add(cursor, new)
