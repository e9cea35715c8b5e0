"""The outbox 发件箱 holds what this node still owes to others: a row per event and destination.

Rows are written in the transaction that made or applied the event, while the case's row is locked,
so the rows of a case are in the order in which their transactions committed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cases.fold import position
from cases.nodes import NATIONAL
from cases.routing import recipients, withheld
from node.kafka.topic_names import own_topic, topic_between
from node.postgres.connection import Cursor
from node.postgres.statements import Statement, columns, run
from node.postgres.table import BOOLEAN, DATE, TEXT, UUID, WORD, Table
from node.store import digests, flow_counts
from node.store.flow_counts import FlowKey
from node.store.projection import CaseChange
from schemas.event import Event

NOTIFY_CHANNEL = "petitionlink_outbox"
_WAKE_RELAY = Statement("select pg_notify(%s, '')", (NOTIFY_CHANNEL,))

# The number of rows written, and the statements that are still to be run.
_Enqueued = tuple[int, list[Statement]]


class Owed(NamedTuple):
    """An event for a destination."""

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
# Locked rows are being marked as sent, and waiting for them could be a deadlock.
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

# The index gives the last offset of each partition at once, whatever the number of rows.
_LAST_SENT = """
    select number, (select max("offset") + 1 from outbox
                    where topic = %(topic)s and partition = number and published_at is not null)
    from generate_series(0, (select max(partition) from outbox
                             where topic = %(topic)s and published_at is not null)) number
"""


def enqueue(
    cursor: Cursor, node: str, changes: Sequence[CaseChange], digest_of: Mapping[str, int]
) -> int:
    """Write what `node` owes to others after these changes; return the number of rows written.

    Digests and accounts are updated in the same transaction, which holds the cases' rows.
    `digest_of` maps the id of each new event to its digest.
    """
    _promote(cursor, changes)
    route = _enqueue_onward if node == NATIONAL else _enqueue_own
    written, statements = route(cursor, node, changes, digest_of)
    if written:
        statements.append(_WAKE_RELAY)
    run(cursor, statements)
    return written


def wake_relay(cursor: Cursor) -> None:
    """Wake the relay when this transaction is committed."""
    run(cursor, [_WAKE_RELAY])


def _promote(cursor: Cursor, changes: Iterable[CaseChange]) -> None:
    """Move the waiting rows of cases that have just become urgent to the urgent lane."""
    risen = [change.case_id for change in changes if change.has_become_urgent and not change.is_new]
    if risen:
        cursor.execute(_PROMOTE, (risen,))


def last_sent(cursor: Cursor, topic: str) -> dict[int, int]:
    """Return the offset after the last acknowledged record of each partition."""
    cursor.execute(_LAST_SENT, {"topic": topic})
    return {partition: end for partition, end in cursor if end is not None}


def _enqueue_own(
    cursor: Cursor, node: str, changes: Sequence[CaseChange], digest_of: Mapping[str, int]
) -> _Enqueued:
    """Enqueue the events of a province, which shares all that it holds with the centre."""
    new = [(event, change.urgent) for change in changes for event in change.events]
    shares = [_shared(NATIONAL, event, digest_of) for event, _ in new]
    owed = [
        Owed(to, topic_between(node, to), event, urgent)
        for event, urgent in new
        for to in recipients(node, event.emitter, ())
    ]
    return len(owed), [*digests.delta_statements(shares), *_added(cursor, owed)]


def _enqueue_onward(
    cursor: Cursor, node: str, changes: Sequence[CaseChange], digest_of: Mapping[str, int]
) -> _Enqueued:
    cursor.execute(_ROUTES, ([change.case_id for change in changes],))
    routes: dict[str, list[str]] = dict(cursor.fetchall())
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
    if kept:
        cursor.execute(_WITHHOLD, columns(kept))
    if joined:
        cursor.execute(_ADD_ROUTES, columns(joined)[:2])
    known_before = {change.case_id for change in changes if not change.is_new}
    histories = [join for join in joined if join.case_id in known_before]
    return _add_histories(cursor, histories) + len(own) + len(owed), [
        *_shared_onward(changes, owed, digest_of),
        *_added(cursor, own + owed),
    ]


def _own_copies(changes: Sequence[CaseChange]) -> list[Owed]:
    """Return the centre's own events for its own topic; the urgent lane sends them first."""
    topic = own_topic(NATIONAL)
    return [
        Owed(NATIONAL, topic, event, urgent=True)
        for change in changes
        for event in change.events
        if event.emitter == NATIONAL
    ]


def _whole_history(node: str, change: CaseChange, to: str) -> list[Owed]:
    """Return what a participant of a new case is owed; for an old case the ledger is read."""
    if not change.is_new:
        return []
    topic, urgent = topic_between(node, to), change.urgent
    return [
        Owed(to, topic, event, urgent)
        for event in sorted(change.events, key=position)
        if event.emitter != to
    ]


def _shared_onward(
    changes: Sequence[CaseChange], owed: Sequence[Owed], digest_of: Mapping[str, int]
) -> list[Statement]:
    """Count what the centre shares with a province: the events of that, and those it is sent."""
    shares = [
        _shared(event.emitter, event, digest_of)
        for change in changes
        for event in change.events
        if event.emitter != NATIONAL
    ]
    shares += [_shared(to, event, digest_of) for to, _, event, _ in owed]
    return digests.delta_statements(shares)


def _shared(peer: str, event: Event, digest_of: Mapping[str, int]) -> digests.Share:
    return digests.Share(peer, event.case_id, digest_of[event.event_id])


def _add_histories(cursor: Cursor, joined: Sequence[Joined]) -> int:
    if not joined:
        return 0
    to_of = {topic_between(NATIONAL, join.destination): join.destination for join in joined}
    topics = [topic_between(NATIONAL, join.destination) for join in joined]
    cursor.execute(_ADD_HISTORIES, [*columns(joined), topics])
    committed: Counter[FlowKey] = Counter()
    shares = []
    for topic, case_id, day, events, digest in cursor.fetchall():
        committed[FlowKey(topic, day, flow_counts.COMMITTED)] += events
        shares.append(digests.Share(to_of[topic], case_id, digest, events))
    run(cursor, [*digests.delta_statements(shares), *flow_counts.delta_statements(committed)])
    return committed.total()


def _added(cursor: Cursor, owed: Sequence[Owed]) -> list[Statement]:
    """Copy the rows or return their insert statement; they are numbered in their order."""
    rows = [
        (topic, event.case_id, event.event_id, urgent, flow_counts.day_of(event.recorded_at))
        for _, topic, event, urgent in owed
    ]
    counts = Counter(FlowKey(topic, day, flow_counts.COMMITTED) for topic, *_, day in rows)
    return [*_OUTBOX.insert(cursor, rows), *flow_counts.delta_statements(counts)]
