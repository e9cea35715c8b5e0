"""Write events 入账: all events enter a node's database here, its own and those of others.

1. Add the events to the ledger; those that it has already are duplicates.
2. Fold the new ones into their cases: `petition_case` and its details.
3. Write what this node owes to others to the outbox; update the digests.

All of it happens in the caller's transaction, in which the caller may write further rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cases.case import Case
from node.postgres.connection import Cursor
from node.runtime.errors import Transient
from node.store import command_gate, lost_events, outbox, projection
from node.store import events as store_events
from node.store.events import Entry, Packed
from node.store.precompute import Precomputed, still_valid
from node.store.projection import CaseChange, CaseTransition, change_of
from schemas.event import Event


class Written(NamedTuple):
    """The result of a write.

    `events` are the new ones, in the given order. `cases` are those that were folded in the
    transaction, by id, without precomputed ones. `restored` are events that the ledger had lost and
    has again; they are not new. `used_precomputed` tells whether what was precomputed was written.
    """

    events: Sequence[Event]
    cases: Mapping[str, Case]
    changes: Sequence[CaseChange]
    restored: Sequence[Event] = ()
    used_precomputed: bool = False


def pack(entries: Iterable[Entry]) -> list[Packed]:
    """Prepare entries for the ledger, before the transaction begins."""
    return [store_events.pack(entry) for entry in entries]


def pack_own(events: Iterable[Event]) -> list[Packed]:
    """Prepare events that this node made itself, see `pack`."""
    return pack(Entry(event, store_events.body_json(event.body)) for event in events)


def write_events(
    cursor: Cursor,
    node: str,
    packed: Sequence[Packed],
    exchanged_at: int | None = None,
    *,
    precomputed: Precomputed | None = None,
    restores: bool = False,
) -> Written:
    """Write the events that are new at `node`.

    `exchanged_at` (micros) is when they arrived from other nodes. `precomputed` is used if all
    events are new and no row that it was folded from has changed; otherwise all is folded here.
    With `restores`, events that the ledger had lost are restored without being folded or passed on
    again. Raises `Transient` as `projection.write` does.
    """
    new = store_events.write(cursor, packed)
    digest_of = _digests(packed)
    restored = lost_events.restore(cursor, node, new, digest_of) if restores else []
    if restored:
        back = {event.event_id for event in restored}
        new = [event for event in new if event.event_id not in back]
    events = projection.by_case(new)
    if len(new) != len(packed) or not still_valid(cursor, precomputed, events):
        precomputed = None
    ready = precomputed.revisions if precomputed else {}
    rest = {case_id: several for case_id, several in events.items() if case_id not in ready}
    transitions = projection.fold_locked(cursor, rest, node, exchanged_at)
    changes = _write_cases(cursor, node, digest_of, transitions, precomputed)
    cases = {row.case.case_id: row.case for _, row, _ in transitions}
    return Written(new, cases, changes, restored, precomputed is not None)


def write_own_events(
    cursor: Cursor,
    node: str,
    packed: Sequence[Packed],
    transitions: Sequence[CaseTransition] | None = None,
) -> Written:
    """Write events that `node` just made, all of which must be new.

    `transitions` were folded by the caller, who has locked the cases or invented their ids; if
    None, the cases are locked and folded here. Raises `NotConfirmed` while the database may lack
    own events, and `Transient` as `projection.write` does.
    """
    command_gate.require_confirmed(cursor, node)
    new = store_events.write(cursor, packed)
    if len(new) != len(packed):
        raise Transient("an event id was used twice")
    if transitions is None:
        transitions = projection.fold_locked(cursor, projection.by_case(new), node)
    changes = _write_cases(cursor, node, _digests(packed), transitions)
    return Written(new, {row.case.case_id: row.case for _, row, _ in transitions}, changes)


def _write_cases(
    cursor: Cursor,
    node: str,
    digest_of: Mapping[str, int],
    transitions: Sequence[CaseTransition],
    precomputed: Precomputed | None = None,
) -> list[CaseChange]:
    """Take steps 2 and 3 for the given transitions and those that were precomputed."""
    changes = [*(precomputed.changes if precomputed else ()), *map(change_of, transitions)]
    projection.write(cursor, transitions, precomputed.rows if precomputed else None)
    outbox.enqueue(cursor, node, changes, digest_of)
    return changes


def _digests(packed: Iterable[Packed]) -> dict[str, int]:
    """Return the digest of each event; if an id occurs twice, the ledger has its first event."""
    digests: dict[str, int] = {}
    for event, _, digest in packed:
        digests.setdefault(event.event_id, digest)
    return digests
