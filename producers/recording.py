"""Writing own events 记录: ledger, case and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from node import command_gate, ledger
from node.errors import Transient
from node.ledger import Packed
from node.postgres import Cursor
from node.projection import Foreseen, Held, Known
from node.taking_in import pack, take_in
from schemas.event import Event


def record(
    cursor: Cursor, node: str, events: Sequence[Event], held: Mapping[str, Held] | None = None
) -> None:
    """Write events that `node` just made; the caller's transaction holds their cases, `held`.

    Raises `Transient` if a case of the same id appeared meanwhile; then roll back and try again.
    Raises `NotConfirmed` while the database may be behind the node's own topics.
    """
    packed = pack(ledger.Entry(event, ledger.body_json(event.body)) for event in events)
    _record(cursor, node, packed, Known(held=held))


def record_new_cases(
    cursor: Cursor, node: str, packed: Sequence[Packed], foreseen: Iterable[Foreseen] = ()
) -> None:
    """As `record`, packed before; `foreseen` is what all of their events make of new cases."""
    known = Known({one.change.case_id: one for one in foreseen})
    _record(cursor, node, packed, known)


def _record(cursor: Cursor, node: str, packed: Sequence[Packed], known: Known) -> None:
    command_gate.require_confirmed(cursor, node)
    taken = take_in(cursor, node, packed, known=known)
    if len(taken.new) != len(packed):
        raise Transient("an event id was used twice")
