"""The outbox 发件箱: what this node still owes to others, one row per event and destination.

Rows are written in the transaction that made or applied the event, while the case's row is
held, so within a case they stand in the order in which their transactions committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cases.fold import position
from cases.nodes import NATIONAL
from cases.routing import recipients, withheld
from node.kafka.topic_names import own_topic, topic_between
from node.postgres.connection import Cursor
from node.postgres.statements import Statement, run
from node.postgres.table import BOOLEAN, DATE, TEXT, UUID, WORD, Table
from node.store import digests, flow_counts
from node.store.projection import Change
from schemas.event import Event

NOTIFY_CHANNEL = "petitionlink_outbox"
_WAKE_RELAY = Statement("select pg_notify(%s, '')", (NOTIFY_CHANNEL,))

# How many rows were written, and what is still to be run.
_Written = tuple[int, list[Statement]]


class Owed(NamedTuple):
    """One event for one destination."""

    to: str
    topic: str
    event: Event
    urgent: bool


class Joined(NamedTuple):
    """A case and a node that became a participant of it."""

    case_id: str
    destination: str
    urgent: bool


_ROUTES = (
    "select case_id, array_agg(destination) from case_route where case_id = any(%s) group by 1"
)
_OUTBOX = Table(
    "outbox",
    {"topic": WORD, "case_id": TEXT, "event_id": UUID, "urgent": BOOLEAN, "day": DATE},
)
_ADD_ROUTES = (
    "insert into case_route (case_id, destination) select * from unnest(%s::text[], %s::text[])"
)
# A node that becomes a participant of a known case first gets its whole history, in fold order.
_ADD_HISTORIES = """
    with owed as (
        insert into outbox (topic, case_id, event_id, urgent, day)
        select joined.topic, e.case_id, e.event_id, joined.urgent,
               (e.recorded_at at time zone 'Asia/Shanghai')::date
        from unnest(%s::text[], %s::text[], %s::boolean[], %s::text[])
            as joined (case_id, destination, urgent, topic)
        join case_event e on e.case_id = joined.case_id and e.emitter <> joined.destination
        order by e.case_id, joined.topic, e.version, e.emitter, e.event_id
        returning topic, case_id, event_id, day
    )
    select owed.topic, owed.case_id, owed.day, count(*), bit_xor(e.digest)
    from owed join case_event e using (event_id) group by 1, 2, 3
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
_WITHHOLD = """
    insert into withheld_event (case_id, event_id, destination)
    select * from unnest(%s::text[], %s::uuid[], %s::text[]) on conflict do nothing
"""

# The index gives the last offset of each partition at once, however many rows there are.
_LAST_SENT = """
    select number, (select max("offset") + 1 from outbox
                    where topic = %(topic)s and partition = number and published_at is not null)
    from generate_series(0, (select max(partition) from outbox
                             where topic = %(topic)s and published_at is not null)) number
"""


def enqueue(
    cursor: Cursor, node: str, changes: Sequence[Change], digest_of: Mapping[str, int]
) -> int:
    """Write what `node` owes to others after these changes; the number of rows written.

    Digests and accounts are brought in step by the way, in the same transaction, which holds the
    cases' rows. `digest_of` maps the id of each new event to its digest.
    """
    _promote(cursor, changes)
    route = _enqueue_onward if node == NATIONAL else _enqueue_own
    written, statements = route(cursor, node, changes, digest_of)
    if written:
        statements.append(_WAKE_RELAY)
    run(cursor, statements)
    return written


def wake_relay(cursor: Cursor) -> None:
    """Let the relay look at once when this transaction is committed."""
    run(cursor, [_WAKE_RELAY])


def _promote(cursor: Cursor, changes: Iterable[Change]) -> None:
    """Let what waits of cases that have just become urgent leave first."""
    risen = [change.case_id for change in changes if change.has_become_urgent and not change.is_new]
    if risen:
        cursor.execute(_PROMOTE, (risen,))


def last_sent(cursor: Cursor, topic: str) -> dict[int, int]:
    """Behind the last acknowledged record of each partition."""
    cursor.execute(_LAST_SENT, {"topic": topic})
    return {partition: end for partition, end in cursor if end is not None}


def _enqueue_own(
    cursor: Cursor, node: str, changes: Sequence[Change], digest_of: Mapping[str, int]
) -> _Written:
    """All that a province holds it shares with the centre, whoever emitted it."""
    new = [(event, change.urgent) for change in changes for event in change.events]
    shares = [_shared(NATIONAL, event, digest_of) for event, _ in new]
    owed = [
        Owed(to, topic_between(node, to), event, urgent)
        for event, urgent in new
        for to in recipients(node, event.emitter, ())
    ]
    return len(owed), [*digests.noted(shares), *_added(cursor, owed)]


def _enqueue_onward(
    cursor: Cursor, node: str, changes: Sequence[Change], digest_of: Mapping[str, int]
) -> _Written:
    routes = _known_routes(cursor, changes)
    owed: list[Owed] = []
    joined: list[Joined] = []
    kept: list[tuple[str, str, str]] = []
    for change in changes:
        case_id, urgent, closed = change.case_id, change.urgent, change.barred
        known = routes.get(case_id, [])
        for event in change.events if known else ():
            for to in recipients(node, event.emitter, known, closed):
                owed.append(Owed(to, topic_between(node, to), event, urgent))
            kept += [(case_id, event.event_id, to) for to in withheld(event.emitter, known, closed)]
        for to in recipients(node, node, change.participants, closed):
            if to not in known:
                joined.append(Joined(case_id, to, urgent))
                owed += _whole_history(node, change, to)
    own = _own_copies(changes)
    _withhold(cursor, kept)
    _add_routes(cursor, joined)
    known_before = {change.case_id for change in changes if not change.is_new}
    histories = [one for one in joined if one.case_id in known_before]
    return _add_histories(cursor, histories) + len(own) + len(owed), [
        *_shared_onward(changes, owed, digest_of),
        *_added(cursor, own + owed),
    ]


def _own_copies(changes: Sequence[Change]) -> list[Owed]:
    """The centre's own events for its own topic.

    They are in the urgent lane, so that they leave before anything else does: whatever is wrong
    with another topic, the event stands outside this database.
    """
    topic = own_topic(NATIONAL)
    return [
        Owed(NATIONAL, topic, event, urgent=True)
        for change in changes
        for event in change.events
        if event.emitter == NATIONAL
    ]


def _whole_history(node: str, change: Change, to: str) -> list[Owed]:
    """What a participant of a new case is owed; of an old one the ledger must be read."""
    if not change.is_new:
        return []
    topic, urgent = topic_between(node, to), change.urgent
    return [
        Owed(to, topic, event, urgent)
        for event in sorted(change.events, key=position)
        if event.emitter != to
    ]


def _shared_onward(
    changes: Sequence[Change], owed: Sequence[Owed], digest_of: Mapping[str, int]
) -> list[Statement]:
    """The centre shares with a province what that emitted, and what it is sent."""
    shares = [
        _shared(event.emitter, event, digest_of)
        for change in changes
        for event in change.events
        if event.emitter != NATIONAL
    ]
    return digests.noted(shares + [_shared(to, event, digest_of) for to, _, event, _ in owed])


def _shared(peer: str, event: Event, digest_of: Mapping[str, int]) -> digests.Share:
    return digests.Share(peer, event.case_id, digest_of[event.event_id])


def _known_routes(cursor: Cursor, changes: Sequence[Change]) -> dict[str, list[str]]:
    cursor.execute(_ROUTES, ([change.case_id for change in changes],))
    return dict(cursor.fetchall())


def _add_routes(cursor: Cursor, joined: Sequence[Joined]) -> None:
    if joined:
        case_ids, destinations, _ = (list(column) for column in zip(*joined, strict=True))
        cursor.execute(_ADD_ROUTES, (case_ids, destinations))


def _add_histories(cursor: Cursor, joined: Sequence[Joined]) -> int:
    if not joined:
        return 0
    case_ids, destinations, urgent = (list(column) for column in zip(*joined, strict=True))
    to_of = {topic_between(NATIONAL, to): to for to in destinations}
    cursor.execute(
        _ADD_HISTORIES,
        (case_ids, destinations, urgent, [topic_between(NATIONAL, to) for to in destinations]),
    )
    committed: Counter[flow_counts.Entry] = Counter()
    shares = []
    for topic, case_id, day, events, digest in cursor.fetchall():
        committed[flow_counts.Entry(topic, day, flow_counts.COMMITTED)] += events
        shares.append(digests.Joined(to_of[topic], case_id, events, digest))
    run(cursor, [*digests.noted((), shares), *flow_counts.noted(committed)])
    return committed.total()


def _added(cursor: Cursor, owed: Sequence[Owed]) -> list[Statement]:
    """Rows are numbered in their order, as they are copied or by the first of these statements."""
    days = [flow_counts.day_of(one.event.recorded_at) for one in owed]
    rows = [
        (one.topic, one.event.case_id, one.event.event_id, one.urgent, day)
        for one, day in zip(owed, days, strict=True)
    ]
    counts = Counter(
        flow_counts.Entry(one.topic, day, flow_counts.COMMITTED)
        for one, day in zip(owed, days, strict=True)
    )
    return [*_OUTBOX.insert(cursor, rows), *flow_counts.noted(counts)]


def _withhold(cursor: Cursor, kept: Sequence[tuple[str, str, str]]) -> None:
    if kept:
        cursor.execute(_WITHHOLD, [list(column) for column in zip(*kept, strict=True)])
