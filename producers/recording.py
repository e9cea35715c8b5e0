"""Writing own events 记录: ledger, case and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cases.case import Case
from node import ledger, outbox, projection
from node.errors import Transient
from node.postgres import Cursor
from node.projection import Change
from schemas.event import Event


def record(
    cursor: Cursor, node: str, events: Sequence[Event], new_cases: Iterable[Case] = ()
) -> list[Change]:
    """Write events that `node` just made; the caller's transaction holds their cases.

    `new_cases` are those of which all events are among these, folded, so that it is done once.
    Raises `Transient` if a case of the same id appeared meanwhile; then roll back and try again.
    """
    new = ledger.write(
        cursor, [ledger.Entry(event, ledger.body_json(event.body)) for event in events]
    )
    if len(new) != len(events):
        raise Transient("an event id was used twice")
    folded = {case.case_id: case for case in new_cases}
    changes = projection.apply(cursor, new, folded=folded)
    outbox.enqueue(cursor, node, changes)
    return changes
