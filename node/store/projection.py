"""The projection 信访件投影: each row of `petition_case` is the fold of its case's events.

`fold_batch` and `pack` are pure and run before the transaction (`node.store.precompute`) or inside
it. A writer locks the rows of its cases until the transaction ends, so there is one at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import NamedTuple

from cases.case import Case
from cases.fold import continues, extend, fold
from cases.routing import barred
from node.postgres.connection import Cursor
from node.postgres.statements import Prepared, Statement, run
from node.postgres.table import MAX_ROWS_IN_STATEMENT
from node.runtime.errors import Transient
from node.store import case_details, case_rows
from node.store import events as store_events
from node.store.case_rows import CaseRow
from schemas.event import Event

EventsByCase = Mapping[str, Sequence[Event]]


class CaseSnapshot(NamedTuple):
    """A case and the revision of its row: 0 if there is no row.

    Unless the row is locked, the revision must be compared before the case is changed.
    """

    case: Case
    revision: int


class CaseTransition(NamedTuple):
    """A case before new events, those events, and the row that shows the case after them."""

    before: Case
    row: CaseRow
    events: Sequence[Event]


class CaseChange(NamedTuple):
    """New events of a case, and facts about the case after them for routing and counting.

    `is_new`: the ledger has no other events of it. `barred`: the nodes to which none of it may be
    sent. `conflicts`: the ids of all its events that are marked as conflicts.
    """

    case_id: str
    events: Sequence[Event]
    is_new: bool
    participants: Sequence[str]
    barred: frozenset[str]
    urgent: bool
    has_become_urgent: bool
    conflicts: frozenset[str]


class PackedRows(NamedTuple):
    """The rows of transitions in the format of COPY: new cases, changed cases, and details."""

    new: list[bytes]
    changed: list[bytes]
    details: list[case_details.PackedDetails]


_LOCK = (
    "select case_id, revision, fold from petition_case where case_id = any(%s::text[]) "
    "order by case_id for update"
)
_LOCK_REVISIONS = (
    "select case_id, revision from petition_case where case_id = any(%s::text[]) "
    "order by case_id for update"
)
_READ = "select case_id, revision, fold from petition_case where case_id = any(%s::text[])"
# Postgres plans a prepared statement for about ten cases. For more than this the plan should depend
# on their number.
_PREPARED_CASES = 24
_LOCK_PREPARED = Prepared("lock_cases", _LOCK)


def by_case(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Group events by their case; each case keeps the order of its events."""
    grouped: dict[str, list[Event]] = {}
    for event in events:
        grouped.setdefault(event.case_id, []).append(event)
    return grouped


def no_case(case_id: str) -> CaseSnapshot:
    return CaseSnapshot(Case(case_id), 0)


def lock_cases(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, CaseSnapshot]:
    """Lock the rows of these cases in the order of their ids, and read those that exist."""
    ids = [*case_ids]
    if not ids:
        return {}
    run(cursor, [Statement(_LOCK_PREPARED if len(ids) <= _PREPARED_CASES else _LOCK, (ids,))])
    return _snapshots(cursor)


def lock_revisions(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, int]:
    """Lock rows as `lock_cases` does, but read their revisions only."""
    cursor.execute(_LOCK_REVISIONS, ([*case_ids],))
    return dict(cursor.fetchall())


def read_cases(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, CaseSnapshot]:
    """Read those of these cases that have a row, without locking them."""
    cursor.execute(_READ, ([*case_ids],))
    return _snapshots(cursor)


def _snapshots(cursor: Cursor) -> dict[str, CaseSnapshot]:
    return {
        case_id: CaseSnapshot(Case.from_json(folded), revision)
        for case_id, revision, folded in cursor
    }


def transition(
    before: CaseSnapshot,
    after: Case,
    events: Sequence[Event],
    node: str = "",
    exchanged_at: int | None = None,
) -> CaseTransition:
    """Return the transition to `after`, which the caller folded from `before` and `events`.

    `exchanged_at` (micros) is when the events reached `node` from other nodes; None for events that
    it made itself. Events that `node` emitted were never exchanged.
    """
    crossed = exchanged_at if any(event.emitter != node for event in events) else None
    return CaseTransition(before.case, CaseRow(after, before.revision + 1, crossed), events)


def fold_batch(
    events: EventsByCase,
    snapshots: Mapping[str, CaseSnapshot],
    node: str,
    exchanged_at: int | None,
) -> list[CaseTransition]:
    """Fold events into their cases; pure. `node` and `exchanged_at` as for `transition`.

    A case without a snapshot has no row. A case is left out if one of its events precedes those
    that it has folded: then it must be folded again from the ledger.
    """
    transitions = []
    for case_id, its_events in events.items():
        before = snapshots.get(case_id) or no_case(case_id)
        if continues(before.case, its_events):
            after = extend(before.case, its_events)
            transitions.append(transition(before, after, its_events, node, exchanged_at))
    return transitions


def fold_locked(
    cursor: Cursor, events: EventsByCase, node: str, exchanged_at: int | None = None
) -> list[CaseTransition]:
    """Lock the cases of these events, which are in the ledger already, and fold them."""
    locked = lock_cases(cursor, events)
    transitions = fold_batch(events, locked, node, exchanged_at)
    folded = {done.row.case.case_id for done in transitions}
    disturbed = [case_id for case_id in events if case_id not in folded]
    histories = store_events.read(cursor, disturbed) if disturbed else {}
    for case_id in disturbed:
        after = fold(case_id, histories[case_id])
        transitions.append(transition(locked[case_id], after, events[case_id], node, exchanged_at))
    return transitions


def change_of(transition: CaseTransition) -> CaseChange:
    """Return the change without the folded cases, which need not be kept for it."""
    before, after = transition.before, transition.row.case
    return CaseChange(
        case_id=after.case_id,
        events=transition.events,
        is_new=before.position is None,
        participants=after.participants,
        barred=barred(after),
        urgent=after.urgent,
        has_become_urgent=after.urgent and not before.urgent,
        conflicts=frozenset(conflict.event_id for conflict in after.conflicts),
    )


def pack(transitions: Iterable[CaseTransition]) -> PackedRows:
    """Return the rows of these transitions in the format of COPY; pure."""
    packed = PackedRows([], [], [])
    for before, row, _ in transitions:
        (packed.new if row.revision == 1 else packed.changed).append(case_rows.packed(row))
        packed.details.append(case_details.packed(before, row.case))
    return packed


def write(
    cursor: Cursor, transitions: Sequence[CaseTransition], packed: PackedRows | None = None
) -> None:
    """Write the rows of locked cases, and those that are `packed` already.

    Raises `Transient` if another transaction created one of the cases at the same moment.
    """
    if packed is None and len(transitions) <= MAX_ROWS_IN_STATEMENT:
        _require(case_rows.put(cursor, [row for _, row, _ in transitions]) == len(transitions))
        case_details.write(cursor, [(before, row.case) for before, row, _ in transitions])
        return
    rest = pack(transitions)
    if packed is not None:
        rest = PackedRows(*map(add, packed, rest))
    _require(not rest.changed or case_rows.put_packed(cursor, rest.changed) == len(rest.changed))
    _require(not rest.new or case_rows.add(cursor, rest.new))
    case_details.write(cursor, (), rest.details)


def _require(written: bool) -> None:
    if not written:
        raise Transient("a case was created by another transaction at the same moment")
