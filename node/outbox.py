"""The outbox 发件箱: what this node still owes to others, one row per event and destination.

Rows are written in the transaction that made or applied the event, while the case's row is
held, so within a case they stand in the order in which their transactions committed.

A row is urgent 重大紧急 if its case is when it is written, and urgent rows leave first. So that
this never reorders a case, what waits of a case that becomes urgent is promoted with it; a case
that is urgent no longer leaves its urgent rows where they are, ahead of those that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cases.nodes import NATIONAL
from cases.routing import barred, recipients
from cases.topics import topic_between
from node.postgres import Cursor
from node.projection import Change

NOTIFY_CHANNEL = "petitionlink_outbox"


class Owed(NamedTuple):
    """One event for one destination."""

    topic: str
    case_id: str
    event_id: str
    urgent: bool


class Joined(NamedTuple):
    """A case and a node that became a participant of it."""

    case_id: str
    destination: str
    urgent: bool


_ROUTES = (
    "select case_id, array_agg(destination) from case_route where case_id = any(%s) group by 1"
)
_ADD_ROUTES = (
    "insert into case_route (case_id, destination) select * from unnest(%s::text[], %s::text[])"
)
# A node that becomes a participant first gets the case's whole history, in fold order.
_ADD_HISTORIES = """
    insert into outbox (topic, case_id, event_id, urgent)
    select joined.topic, e.case_id, e.event_id, joined.urgent
    from unnest(%s::text[], %s::text[], %s::boolean[], %s::text[])
        as joined (case_id, destination, urgent, topic)
    join case_event e on e.case_id = joined.case_id and e.emitter <> joined.destination
    order by e.case_id, joined.topic, e.version, e.emitter, e.event_id
"""
_ADD = """
    insert into outbox (topic, case_id, event_id, urgent)
    select topic, case_id, event_id, urgent
    from unnest(%s::text[], %s::text[], %s::uuid[], %s::boolean[])
        with ordinality as owed (topic, case_id, event_id, urgent, place)
    order by place
"""
# Rows that are locked are being marked: they have left, and waiting for them could be a deadlock.
_PROMOTE = """
    with waiting as (
        select o.id from case_event e join outbox o using (event_id)
        where e.case_id = any(%s) and o.published_at is null and not o.urgent
        for update of o skip locked
    )
    update outbox set urgent = true from waiting where outbox.id = waiting.id
"""


def enqueue(cursor: Cursor, node: str, changes: Sequence[Change]) -> int:
    """Write what `node` owes to others after these changes; the number of rows written.

    The caller's transaction holds the cases' rows.
    """
    _promote(cursor, changes)
    written = _enqueue_onward(cursor, changes) if node == NATIONAL else _own(cursor, node, changes)
    if written:
        cursor.execute("select pg_notify(%s, '')", (NOTIFY_CHANNEL,))
    return written


def _promote(cursor: Cursor, changes: Iterable[Change]) -> None:
    """Let what waits of cases that have just become urgent leave first."""
    risen = [
        change.after.case_id
        for change in changes
        if change.after.urgent and not change.before.urgent and change.before.position is not None
    ]
    if risen:
        cursor.execute(_PROMOTE, (risen,))


def _own(cursor: Cursor, node: str, changes: Iterable[Change]) -> int:
    owed = [
        Owed(topic_between(node, to), event.case_id, event.event_id, change.after.urgent)
        for change in changes
        for event in change.events
        for to in recipients(node, event.emitter, ())
    ]
    return _add(cursor, owed)


def _enqueue_onward(cursor: Cursor, changes: Sequence[Change]) -> int:
    routes = _known_routes(cursor, changes)
    owed: list[Owed] = []
    joined: list[Joined] = []
    for change in changes:
        case_id, urgent = change.after.case_id, change.after.urgent
        known, closed = routes.get(case_id, []), barred(change.after)
        for event in change.events:
            for to in recipients(NATIONAL, event.emitter, known, closed):
                owed.append(Owed(topic_between(NATIONAL, to), case_id, event.event_id, urgent))
        joined += [
            Joined(case_id, to, urgent)
            for to in recipients(NATIONAL, NATIONAL, change.after.participants, closed)
            if to not in known
        ]
    return _add_histories(cursor, joined) + _add(cursor, owed)


def _known_routes(cursor: Cursor, changes: Sequence[Change]) -> dict[str, list[str]]:
    cursor.execute(_ROUTES, ([change.after.case_id for change in changes],))
    return dict(cursor.fetchall())


def _add_histories(cursor: Cursor, joined: Sequence[Joined]) -> int:
    if not joined:
        return 0
    case_ids, destinations, urgent = (list(column) for column in zip(*joined, strict=True))
    cursor.execute(_ADD_ROUTES, (case_ids, destinations))
    topics = [topic_between(NATIONAL, to) for to in destinations]
    cursor.execute(_ADD_HISTORIES, (case_ids, destinations, urgent, topics))
    return cursor.rowcount


def _add(cursor: Cursor, owed: Sequence[Owed]) -> int:
    if owed:
        cursor.execute(_ADD, tuple(list(column) for column in zip(*owed, strict=True)))
    return len(owed)
