"""Writing own events 记录: ledger, case and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cases.case import Case
from node import ledger
from node.errors import Transient
from node.postgres import Cursor
from node.projection import Change
from node.taking_in import pack, take_in
from schemas.event import Event


def record(
    cursor: Cursor, node: str, events: Sequence[Event], new_cases: Iterable[Case] = ()
) -> list[Change]:
    """Write events that `node` just made; the caller's transaction holds their cases.

    `new_cases` are those of which all events are among these, folded, so that it is done once.
    Raises `Transient` if a case of the same id appeared meanwhile; then roll back and try again.
    """
    entries = [ledger.Entry(event, ledger.body_json(event.body)) for event in events]
    folded = {case.case_id: case for case in new_cases}
    taken = take_in(cursor, node, pack(entries), folded=folded)
    if len(taken.new) != len(events):
        raise Transient("an event id was used twice")
    return taken.changes
