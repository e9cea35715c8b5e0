"""Taking in 入账: the one way of events into a node's database, whoever made them.

Ledger, then projection, then what is owed to others, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from node import ledger, outbox, projection
from node.changes import Change
from node.ledger import Entry, Packed
from node.postgres import Cursor
from node.projection import Known
from node.scrub import restoring
from schemas.event import Event


class Taken(NamedTuple):
    """The events that were new, in the given order, the cases that they changed, and the events
    that the ledger had lost and has again: those are not new."""

    new: list[Event]
    changes: list[Change]
    restored: Sequence[Event] = ()


def pack(entries: Iterable[Entry]) -> list[Packed]:
    """Make ready what needs no database, before the transaction begins."""
    return [ledger.pack(entry) for entry in entries]


def take_in(
    cursor: Cursor,
    node: str,
    packed: Sequence[Packed],
    exchanged_at: int | None = None,
    known: Known = projection.UNKNOWN,
    *,
    restores: bool = False,
) -> Taken:
    """Write, fold and owe what is new of these events at `node`.

    `exchanged_at` and `known` as for `projection.apply`, which may raise `Transient`; what was
    foreseen for all of these events counts only if all of them are new. With `restores`, events
    that the ledger had lost are put back without being folded or passed on again.
    """
    new = ledger.write(cursor, packed)
    # Of two with one id the ledger has the first.
    digest_of = {one.event.event_id: one.digest for one in reversed(packed)}
    restored = restoring.restore(cursor, node, new, digest_of) if restores else []
    if restored:
        back = {event.event_id for event in restored}
        new = [event for event in new if event.event_id not in back]
    if len(new) != len(packed):
        known = known._replace(foreseen=projection.NOTHING)
    changes = projection.apply(cursor, new, exchanged_at, known, home=node)
    outbox.enqueue(cursor, node, changes, digest_of)
    return Taken(new, changes, restored)
