"""The position of the present pass and the end of the last complete one, stored in Postgres."""

from typing import NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import read_value

_READ = """
    select last_case, extract(epoch from began_at)::float, events, quarantined,
           extract(epoch from complete_from)::float, extract(epoch from complete_at)::float,
           complete_events, extract(epoch from now())::float
    from scrub_state
"""
_BEGIN = """
    update scrub_state set began_at = now(), last_case = '', events = 0, quarantined = 0
    where began_at is null
"""
_MOVE = """
    update scrub_state set last_case = %s, events = events + %s, quarantined = quarantined + %s
"""
_COMPLETE = """
    update scrub_state set complete_from = began_at, complete_at = now(), complete_events = events,
        began_at = null, last_case = ''
"""
_NOTE_COMPLETE = """
    update scrub_state set complete_from = to_timestamp(%s), complete_at = now(),
        complete_events = %s
"""
_TAKE_REQUESTS = """
    delete from scrub_request where case_id in (
        select case_id from scrub_request order by requested_at limit %s for update skip locked)
    returning case_id
"""
_OWN_WANTED = "select read_own_topics from scrub_state"
_OWN_READ = "update scrub_state set read_own_topics = false where read_own_topics"


class ScrubState(NamedTuple):
    """The row of `scrub_state`; instants in epoch seconds, None for never."""

    last_case: str
    began_at: float | None
    events: int
    quarantined: int
    complete_from: float | None
    complete_at: float | None
    complete_events: int
    now: float


def read(cursor: Cursor) -> ScrubState:
    """Return the state; `last_case` is "" at the start of a pass."""
    cursor.execute(_READ)
    (row,) = cursor.fetchall()
    return ScrubState(*row)


def begin(cursor: Cursor) -> None:
    """Begin a pass, unless one is under way."""
    cursor.execute(_BEGIN)


def move(cursor: Cursor, last_case: str, events: int, quarantined: int) -> None:
    """Store that all cases up to this one were checked."""
    cursor.execute(_MOVE, (last_case, events, quarantined))


def complete(cursor: Cursor) -> None:
    """Store that the pass has checked the whole ledger."""
    cursor.execute(_COMPLETE)


def note_complete(cursor: Cursor, began_at: float, events: int) -> None:
    """Store that a command has checked the whole ledger since `began_at`."""
    cursor.execute(_NOTE_COMPLETE, (began_at, events))


def take_requests(cursor: Cursor, limit: int) -> list[str]:
    """Take the cases that are to be checked first off the list and return them."""
    cursor.execute(_TAKE_REQUESTS, (limit,))
    return [case_id for (case_id,) in cursor]


def wants_own_topics(cursor: Cursor) -> bool:
    """Return whether own events are missing, so that our own topics must be read again."""
    return bool(read_value(cursor, _OWN_WANTED))


def own_topics_read(cursor: Cursor) -> None:
    cursor.execute(_OWN_READ)
