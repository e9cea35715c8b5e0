"""Resending 补发 puts events that a peer lacks into the outbox again, in fold order.

Only the source does it: a province for what it emitted, the centre for all that it passes on; and
to a recovering node its own events too. What is pending in the outbox is not added again. An open
dead letter at the receiver would only become another one: its event is held back until a person has
replayed or discarded the letter. A round may be ahead of the account in which the receiver lists
its letters, so what is at or after the position of its last account waits for the next one.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cases.nodes import NATIONAL
from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.queries.dead_letters import headers_of
from node.reconcile.protocol import MOST_DEAD_LETTERS
from node.reconcile.shared_events import Shared
from node.store.outbox import wake_relay

_RESEND = """
    insert into outbox (topic, case_id, event_id, urgent, day, resent)
    select %(topic)s, case_id, event_id, coalesce(c.urgent, false),
           (recorded_at at time zone 'Asia/Shanghai')::date, true
    from case_event e left join petition_case c using (case_id)
    where event_id = any(%(events)s::uuid[])
        and not exists (select from outbox o where o.event_id = e.event_id
                        and o.topic = %(topic)s and o.published_at is null)
        and not exists (select from outbox o join reported_dead_letter d
                            on d.topic = o.topic and d.partition = o.partition
                            and d."offset" = o."offset"
                        where o.event_id = e.event_id and o.topic = %(topic)s)
        and not exists (select from outbox o left join peer_position p
                            on p.topic = o.topic and p.partition = o.partition
                        where o.event_id = e.event_id and o.topic = %(topic)s
                            and o."offset" >= coalesce(p.next_offset, 0))
    order by case_id, e.version, emitter, event_id
"""
_WAITING = """
    select distinct event_id::text from outbox
    where topic = %(topic)s and event_id = any(%(events)s::uuid[]) and published_at is null
"""
_HELD_BACK_HERE = """
    select o.event_id::text, d.letter, d.topic, d.partition, d."offset"
    from outbox o join reported_dead_letter d
        on d.topic = o.topic and d.partition = o.partition and d."offset" = o."offset"
    where o.event_id = any(%s::uuid[]) and o.topic = %s order by 2, 3, 4, 5
"""
_LETTERS_HERE = """
    select id, topic, partition, "offset", headers from dead_letter
    where topic = %s and status = 'open' order by id desc limit %s
"""
_ON_ITS_WAY = """
    select o.event_id::text from outbox o
    left join unnest(%(partitions)s::integer[], %(positions)s::bigint[]) as p (partition, position)
        on p.partition = o.partition
    where o.event_id = any(%(events)s::uuid[]) and o.topic = %(topic)s
        and (o.published_at is null or o."offset" >= coalesce(p.position, 0))
"""


def is_source(node: str, event: Shared, peer: str, *, peer_recovers: bool) -> bool:
    """Return True if `node` is the one that sends `event` to `peer` again."""
    if event.emitter == peer:
        return peer_recovers
    return node in (NATIONAL, event.emitter)


def resend(cursor: Cursor, node: str, peer: str, event_ids: Iterable[str]) -> set[str]:
    """Put events into the outbox for `peer` again; return those that are pending there now.

    The others are dead letters at the peer, which a person must resolve first, or the peer's last
    account does not reach them yet.
    """
    wanted = [*event_ids]
    if not wanted:
        return set()
    values = {"topic": topic_between(node, peer), "events": wanted}
    cursor.execute(_RESEND, values)
    if cursor.rowcount:
        wake_relay(cursor)
    cursor.execute(_WAITING, values)
    return {event_id for (event_id,) in cursor}


class HeldBack(NamedTuple):
    """An event that is not sent again while its dead letter is open at the receiver.

    `letter` is None if the receiver's release does not tell the number.
    """

    event_id: str
    letter: int | None
    topic: str
    partition: int
    offset: int


def held_back(
    cursor: Cursor, node: str, peer: str, here: Iterable[str], there: Iterable[str]
) -> list[HeldBack]:
    """Return the events missing `here` or `there` that are open dead letters at the receiver.

    Those missing there are known from the peer's account, those missing here from our own newest
    letters.
    """
    cursor.execute(_HELD_BACK_HERE, ([*there], topic_between(node, peer)))
    events = [HeldBack(*row) for row in cursor]
    missing = {*here}
    cursor.execute(_LETTERS_HERE, (topic_between(peer, node), MOST_DEAD_LETTERS))
    for id_, topic, partition, offset, headers in cursor:
        said = dict(headers_of(headers)).get("ce_id") or b""
        event_id = said.decode("ascii", "replace")
        if event_id in missing:
            events.append(HeldBack(event_id, id_, topic, partition, offset))
    return events


def on_its_way(
    cursor: Cursor, node: str, peer: str, positions: dict[int, int], event_ids: Iterable[str]
) -> set[str]:
    """Return those of these events that are pending, or were sent at or after its positions."""
    values = {
        "topic": topic_between(node, peer),
        "partitions": [*positions],
        "positions": [*positions.values()],
        "events": [*event_ids],
    }
    cursor.execute(_ON_ITS_WAY, values)
    return {event_id for (event_id,) in cursor}
