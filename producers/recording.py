"""Writing own events 记录: ledger, case and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cases.case import Case
from node import ledger
from node.errors import Transient
from node.ledger import Packed
from node.postgres import Cursor
from node.projection import Change, Held, Known
from node.taking_in import pack, take_in
from schemas.event import Event


def record(
    cursor: Cursor, node: str, events: Sequence[Event], held: Mapping[str, Held] | None = None
) -> list[Change]:
    """Write events that `node` just made; the caller's transaction holds their cases, `held`.

    Raises `Transient` if a case of the same id appeared meanwhile; then roll back and try again.
    """
    packed = pack(ledger.Entry(event, ledger.body_json(event.body)) for event in events)
    return _record(cursor, node, packed, Known(held=held))


def record_new_cases(
    cursor: Cursor, node: str, packed: Sequence[Packed], cases: Iterable[Case] = ()
) -> list[Change]:
    """As `record`, packed before; `cases` are folded of all their events already."""
    return _record(cursor, node, packed, Known({case.case_id: case for case in cases}))


def _record(cursor: Cursor, node: str, packed: Sequence[Packed], known: Known) -> list[Change]:
    taken = take_in(cursor, node, packed, known=known)
    if len(taken.new) != len(packed):
        raise Transient("an event id was used twice")
    return taken.changes
