"""Lost events 失而复得 come back: into the ledger and the digests, and not to others once more.

An event that the ledger had lost was counted when it first arrived, and passed on. When a peer or
our own topic gives it back, only what the loss took away is made good. The projection stays as it
is until the case is looked at again: it shows the events that were lost, a fold of the remaining
ones would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from node.postgres.connection import Cursor
from node.store import digest_check
from node.store.digests import Joined
from schemas.event import Event

_ANY = "select exists (select from lost_event)"
_TAKE = """
    delete from lost_event l
    using unnest(%s::text[], %s::text[], %s::bigint[], %s::uuid[])
        as b (case_id, emitter, emitter_sequence, event_id)
    where l.case_id = b.case_id and l.emitter = b.emitter
        and l.emitter_sequence = b.emitter_sequence
        and coalesce(l.event_id, b.event_id) = b.event_id
    returning b.event_id::text
"""
_NOTE = """
    insert into lost_event (case_id, emitter, emitter_sequence, event_id)
    values (%s, %s, %s, %s)
    on conflict (case_id, emitter, emitter_sequence) do update
        set event_id = coalesce(lost_event.event_id, excluded.event_id)
"""
_OF_CASES = """
    select case_id, emitter, emitter_sequence, event_id::text from lost_event
    where case_id = any(%s)
"""
_COUNT = "select count(*) from lost_event"
_REQUEST = """
    insert into scrub_request (case_id) select unnest(%s::text[]) on conflict do nothing
"""

Lost = tuple[str, str, int, str | None]
"""Case, emitter, its number, and the event id if it is known."""


def note(cursor: Cursor, lost: Iterable[Lost]) -> None:
    """Remember what the ledger had and lacks."""
    for one in lost:
        cursor.execute(_NOTE, one)


def lost_of(cursor: Cursor, case_ids: Iterable[str]) -> list[Lost]:
    """What is lost of these cases."""
    cursor.execute(_OF_CASES, ([*case_ids],))
    return cursor.fetchall()


def number_lost(cursor: Cursor) -> int:
    """How many events the ledger had and lacks."""
    cursor.execute(_COUNT)
    (number,) = cursor.fetchone() or (0,)
    return int(number)


def request(cursor: Cursor, case_ids: Iterable[str]) -> None:
    """Let the scrub look at these cases before all others."""
    cursor.execute(_REQUEST, (sorted({*case_ids}),))


def restore(
    cursor: Cursor, node: str, new: Sequence[Event], digest_of: Mapping[str, int]
) -> list[Event]:
    """Of events that were just written to the ledger, those that it had lost; the digests are in
    step with them again."""
    cursor.execute(_ANY)
    if not new or cursor.fetchone() != (True,):
        return []
    keys = [(one.case_id, one.emitter, one.emitter_sequence, one.event_id) for one in new]
    cursor.execute(_TAKE, [[*column] for column in zip(*keys, strict=True)])
    back = {event_id for (event_id,) in cursor}
    restored = [one for one in new if one.event_id in back]
    cases = sorted({one.case_id for one in restored})
    if cases:
        shares = digest_check.load(cursor, node, cases)
        digest_check.correct(
            cursor,
            [
                Joined(peer, one.case_id, 1, digest_of[one.event_id])
                for one in restored
                for peer in shares.peers(one.case_id, one.event_id, one.emitter)
            ],
        )
        request(cursor, cases)
    return restored
