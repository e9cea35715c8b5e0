"""Where the present pass stands, and when the last complete one ended; kept in Postgres."""

from __future__ import annotations

from typing import NamedTuple

from node.postgres.connection import Cursor

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


class Position(NamedTuple):
    """Instants in epoch seconds, None for never; `last_case` is "" at the start of a pass."""

    last_case: str
    began_at: float | None
    events: int
    quarantined: int
    complete_from: float | None
    complete_at: float | None
    complete_events: int
    now: float


def read(cursor: Cursor) -> Position:
    """How far the scrub is."""
    cursor.execute(_READ)
    row = cursor.fetchone()
    return Position(*row) if row else Position("", None, 0, 0, None, None, 0, 0.0)


def begin(cursor: Cursor) -> None:
    """Begin a pass, unless one is under way."""
    cursor.execute(_BEGIN)


def move(cursor: Cursor, last_case: str, events: int, quarantined: int) -> None:
    """Everything up to this case was looked at."""
    cursor.execute(_MOVE, (last_case, events, quarantined))


def complete(cursor: Cursor) -> None:
    """The pass has seen the whole ledger."""
    cursor.execute(_COMPLETE)


def note_complete(cursor: Cursor, began_at: float, events: int) -> None:
    """A whole verification at once, by a command, has seen the ledger since `began_at`."""
    cursor.execute(_NOTE_COMPLETE, (began_at, events))


def take_requests(cursor: Cursor, limit: int) -> list[str]:
    """The cases that are to be looked at first; they are asked for no longer."""
    cursor.execute(_TAKE_REQUESTS, (limit,))
    return [case_id for (case_id,) in cursor]


def wants_own_topics(cursor: Cursor) -> bool:
    """Whether own events are missing, so that our own topics are to be read again."""
    cursor.execute(_OWN_WANTED)
    return cursor.fetchone() == (True,)


def own_topics_read(cursor: Cursor) -> None:
    """They were read."""
    cursor.execute(_OWN_READ)
