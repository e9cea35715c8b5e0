"""Lost events 失而复得 return to the ledger and the digests without being passed on again.

An event that the ledger lost was counted and passed on when it first arrived. When a peer or our
own topic returns it, only the row and the digests are restored. The projection stays as it is until
the case is checked again: it still shows the lost events, which a fold of the others would not.
"""

from collections.abc import Iterable, Mapping, Sequence

from node.postgres.connection import Cursor
from node.postgres.statements import columns, read_value, run
from node.store import digest_check, digests
from node.store.digests import Share
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
_REQUEST = """
    insert into scrub_request (case_id) select unnest(%s::text[]) on conflict do nothing
"""

LostEvent = tuple[str, str, int, str | None]
"""Case, emitter, emitter sequence, and the event id if it is known."""


def note(cursor: Cursor, lost: Iterable[LostEvent]) -> None:
    """Store events that the ledger had and lacks."""
    for event in lost:
        cursor.execute(_NOTE, event)


def lost_of(cursor: Cursor, case_ids: Iterable[str]) -> list[LostEvent]:
    cursor.execute(_OF_CASES, ([*case_ids],))
    return cursor.fetchall()


def number_lost(cursor: Cursor) -> int:
    return int(read_value(cursor, "select count(*) from lost_event"))


def request(cursor: Cursor, case_ids: Iterable[str]) -> None:
    """Let the scrub check these cases before all others."""
    cursor.execute(_REQUEST, (sorted({*case_ids}),))


def restore(
    cursor: Cursor, node: str, new: Sequence[Event], digest_of: Mapping[str, int]
) -> list[Event]:
    """Restore the lost ones of events that were just written to the ledger; return them.

    The digests count them again.
    """
    if not new or not read_value(cursor, _ANY):
        return []
    keys = [(event.case_id, event.emitter, event.emitter_sequence, event.event_id) for event in new]
    cursor.execute(_TAKE, columns(keys))
    back = {event_id for (event_id,) in cursor}
    restored = [event for event in new if event.event_id in back]
    cases = sorted({event.case_id for event in restored})
    if cases:
        routes = digest_check.load(cursor, node, cases)
        shares = [
            Share(peer, event.case_id, digest_of[event.event_id])
            for event in restored
            for peer in routes.peers(event.case_id, event.event_id, event.emitter)
        ]
        run(cursor, digests.delta_statements(shares))
        request(cursor, cases)
    return restored
